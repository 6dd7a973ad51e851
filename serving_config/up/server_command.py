"""The command that starts TensorFlow Serving: the program itself, or Docker with its image.

Each flag is one that TensorFlow Serving 2.20 knows; `tensorflow_model_server --help` explains them.
"""

import hashlib
import ipaddress
import math
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from ..errors import ServingConfigError
from ..server import models_config, ports
from ..server.protocol import ModelServerConfig
from ..server.translation import cache_folder

PROGRAM = "tensorflow_model_server"
IMAGE = "tensorflow/serving:2.20.0"


@dataclass(frozen=True)
class Launch:
    """What to serve, and where.

    Attributes:
        config: the models; `config_file` is the same on disk.
        models_root: what base paths under /models stand for on this machine.
        calls: answered at once; more are refused.
        threads: of TensorFlow within one operation; 0 for the server's default.
    """

    config: ModelServerConfig
    config_file: Path
    host: str
    port: int
    tensor_content: bool
    poll_seconds: float
    calls: int
    threads: int = 0
    ssl_config: Path | None = None
    models_root: Path = models_config.MODELS
    image: str = IMAGE


def binary(launch: Launch, program: str) -> list[str]:
    """The program on this machine. It listens on every interface: TensorFlow Serving has no flag for less."""
    return [program, *_flags(launch)]


def docker(launch: Launch) -> list[str]:
    """A container that ends with this command, published on `host` alone.

    Every path is mounted, read-only, under its own name, so that one models.config serves all engines.

    Raises:
        ServingConfigError: `host` is a name that cannot be looked up.
    """
    command = ["docker", "run", "--rm", "--init", f"--name={container(launch)}"]
    command.append(f"--publish={ports.address(_ip_address(launch.host), launch.port)}:{launch.port}")
    # A path that is missing is an error of --mount; --volume would make an empty folder.
    for target, source in _mounts(launch).items():
        command.append(f"--mount=type=bind,source={source},target={target},readonly")
    # The image's own entry point is a shell script that keeps signals to itself.
    command += [f"--entrypoint=/usr/bin/{PROGRAM}", launch.image]
    return [*command, *_flags(launch)]


def _ip_address(host: str) -> str:
    # --publish takes no names.
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        raise ServingConfigError(
            f"--host {host} cannot be looked up: give this machine's address, such as 127.0.0.1"
        ) from error


def container(launch: Launch) -> str:
    """The container's name: one per port."""
    return f"slimserve-{launch.port}"


def generated_config(config: ModelServerConfig) -> Path:
    """A file that holds `config`, named after its content: in the user's cache folder, or a temporary one.

    Raises:
        ServingConfigError: it cannot be written.
    """
    text = text_format.MessageToString(config)
    folder = cache_folder() or Path(tempfile.mkdtemp(prefix="slimserve-"))
    path = folder / f"models-{hashlib.sha256(text.encode()).hexdigest()[:12]}.config"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ServingConfigError(
            f"{path}: cannot write the list of models ({error.strerror}): give one with --models-config"
        ) from error
    return path


def _flags(launch: Launch) -> list[str]:
    flags = [
        f"--port={launch.port}",
        "--rest_api_port=0",
        f"--model_config_file={launch.config_file}",
        f"--file_system_poll_wait_seconds={math.ceil(launch.poll_seconds)}",
        # Without it, a label on a version that is still to load stops the server.
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_grpc_healthcheck_service=true",
        f"--enable_serialization_as_tensor_content={str(launch.tensor_content).lower()}",
        # The profiler's calls would be open to everyone who reaches the port.
        "--enable_profiler=false",
        # A version that does not load is given up after 10 seconds, not after 5 minutes.
        "--num_load_threads=1",
        "--max_num_load_retries=2",
        "--load_retry_interval_micros=5000000",
        # One of gRPC's threads waits for the next call and answers none.
        f"--grpc_max_threads={launch.calls + 1}",
        # The largest message that protobuf allows, both ways.
        "--grpc_channel_arguments=grpc.max_receive_message_length=-1,grpc.max_send_message_length=-1",
    ]
    if launch.threads:
        flags.append(f"--tensorflow_intra_op_parallelism={launch.threads}")
    if launch.ssl_config:
        flags.append(f"--ssl_config_file={launch.ssl_config}")
    return flags


def _mounts(launch: Launch) -> dict[str, Path]:
    """What lies where on this machine, by its path in the container."""
    mounts = {}
    for model in launch.config.model_config_list.config:
        if not models_config.is_remote(model.base_path):
            folder = models_config.on_this_machine(model.base_path, launch.models_root)
            mounts[models_config.local_path(model.base_path).as_posix()] = folder.resolve()
    for file in (launch.config_file, launch.ssl_config):
        if file:
            mounts[str(file)] = file
    return mounts
