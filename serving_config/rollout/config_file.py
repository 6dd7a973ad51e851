"""A models.config that is kept in step with the server: read, changed, and replaced whole."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..deploy.contents import models_config_text
from ..errors import ServingConfigError
from ..server import models_config
from ..server.protocol import ModelConfig, ModelServerConfig


class ConfigFile:
    """The file at `path`; `config` is its content until `save` replaces it.

    Raises:
        ServingConfigError: the file cannot be read, or is no list of models.
    """

    def __init__(self, path: Path) -> None:
        # A link is followed, so that the rename replaces the file and not the link.
        self.path = path.resolve()
        # Before the parsed content: a change between the two is then found, and not taken for what was read.
        self._bytes = self._read()
        self.config = models_config.read(path)

    def model(self, name: str | None) -> ModelConfig:
        """The model of that name, or the only one.

        Raises:
            ServingConfigError: there is none, or the choice is open.
        """
        models = list(self.config.model_config_list.config)
        names = [model.name for model in models]
        return models[names.index(models_config.only(self.path, names, name))]

    def check_unchanged(self) -> None:
        """Refuse to go on with a copy that is out of date.

        Raises:
            ServingConfigError: the file has been changed, replaced or removed since it was read.
        """
        if self._read() != self._bytes:
            raise ServingConfigError(
                f"{self.path} was changed by someone else in the meantime: it is left as it is, and the server "
                "with the versions and labels that it has now; look at the file, and repeat the command"
            )

    def save(self, config: ModelServerConfig) -> None:
        """Replace the file in one step, keeping the comments in it; a crash leaves the old one whole.

        Raises:
            ServingConfigError: the folder cannot be written, or the file was changed since it was read.
        """
        self.check_unchanged()
        words, comments_kept = models_config_text.changed(self._bytes.decode(), config)
        if not comments_kept:
            print(f"note: {self.path} was written anew, without the comments inside it", file=sys.stderr)
        text = words.encode()
        try:
            with tempfile.NamedTemporaryFile(dir=self.path.parent, prefix=".models-", delete=False) as new:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
            os.chmod(new.name, self.path.stat().st_mode)
            os.replace(new.name, self.path)
        except OSError as error:
            raise ServingConfigError(
                f"{self.path}: cannot be replaced ({error.strerror}): the server has the new labels, but a restart "
                "would bring back the old ones; make the folder writable and repeat the command"
            ) from error
        self._bytes = text
        self.config = config

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other commands off the file while the context is open; says so on stderr when it has to wait.

    What is locked is the file's folder: a lock on the file would go when the file is replaced. Where there are no
    such locks (Windows, and folders on NFS) a command notices before it replaces the file that it was changed.

    Raises:
        ServingConfigError: the folder does not exist, or the file in it could not be replaced.
    """
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        reason = "is not writable" if folder.is_dir() else "does not exist"
        raise ServingConfigError(
            f"{path}: the labels are written to this file, and its folder {reason}: nothing has been changed"
        )
    try:
        import fcntl
    except ImportError:
        print(
            f"note: {sys.platform} cannot lock a folder: run one roll-out command at a time", file=sys.stderr
        )
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another command that is changing {path}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass  # NFS
        yield
    finally:
        os.close(lock)
