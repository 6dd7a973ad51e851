"""Import TensorFlow with what can only be set before: no messages of its C++ side, and where its memory comes from."""

import gc
import os
import sys


def import_quietly() -> None:
    """Import TensorFlow; whoever sets TF_CPP_MIN_LOG_LEVEL sees its messages."""
    # All of it lives until the end: to find that out, garbage collections would take a fifth of the import.
    gc.disable()
    try:
        _import()
    finally:
        gc.enable()
    gc.freeze()


def _import() -> None:
    # x86 builds have an allocator of their own, which keeps what the largest image took until the process ends. malloc
    # can give it back (`freed_memory`).
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "true")
    # Keras comes along: it would read its user's settings, and write to his home or to /tmp.
    os.environ |= {"KERAS_HOME": os.devnull, "KERAS_BACKEND": "tensorflow"}
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import tensorflow

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            import tensorflow  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
