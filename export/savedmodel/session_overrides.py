"""What a version asks of the session that TensorFlow Serving runs it in.

`assets.extra/saved_model_config.pb` is a `SavedModelConfig`
(tensorflow_serving/servables/tensorflow/saved_model_config.proto), which TensorFlow Serving reads when it loads the
version.
"""

from __future__ import annotations

from pathlib import Path

from .protocol import SavedModelConfig

FILE = Path("assets.extra", "saved_model_config.pb")


def write_session_overrides(folder: Path) -> None:
    """Ask that the graph in the version folder `folder` is run as it is stored.

    TensorFlow rewrites the graph of each signature before the signature first answers (Grappler): of 9 signatures, most
    of the time that a server takes until it is ready. Of oneDNN's own nodes there is nothing left to fuse. A server
    that does not know the file rewrites them all the same.
    """
    file = folder / FILE
    file.parent.mkdir(exist_ok=True)
    config = SavedModelConfig(session_overrides={"disable_meta_optimizer": True})
    file.write_bytes(config.SerializeToString())
