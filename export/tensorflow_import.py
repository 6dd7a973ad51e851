"""Import TensorFlow without the messages it writes at its start, which would drown ours."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def import_tensorflow() -> None:
    """Import TensorFlow and tf-slim; a user who sets TF_CPP_MIN_LOG_LEVEL sees their messages."""
    wanted = "TF_CPP_MIN_LOG_LEVEL" in os.environ
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras comes along: it would obey what its user set for other projects, and write to his home or to /tmp.
    os.environ |= {"KERAS_HOME": os.devnull, "KERAS_BACKEND": "tensorflow"}
    with _stderr_kept(wanted):
        import tensorflow as tf
        import tf_slim  # noqa: F401
    # All this lives until the end: a garbage collection would take 0.2 s to find that out.
    gc.freeze()
    if not wanted:
        tf.get_logger().setLevel("ERROR")
    # On a GPU its 10-bit mantissas would pass for an error of the export.
    tf.config.experimental.enable_tensor_float_32_execution(False)


@contextmanager
def _stderr_kept(kept: bool) -> Iterator[None]:
    """Send file descriptor 2, to which C++ writes, to nowhere unless `kept`."""
    if kept:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
