"""What a deployment is for: models, versions, replicas, image and resources, checked before anything is written."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ..check.deployments.kubernetes import TRUTHS
from ..check.servers import images
from ..check.servers.amounts import quantity
from ..check.servers.described_server import LEAST_MEMORY, MEMORY_ADVICE
from ..errors import ServingConfigError
from ..paths import path_argument
from ..server.models_config import version_folders
from ..server.tls import ServerTls

STOCK_IMAGE = "tensorflow/serving:2.20.0"
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?")
_CPU = re.compile(r"(?P<millis>[1-9]\d*)m|(?P<cores>\d+(\.\d{1,3})?)")
_STORE = re.compile(r"(s3|gs|az)://[\w./-]+")
_MEMORY = re.compile(r"[1-9]\d*[MG]i")
_SIZE = re.compile(r"[1-9]\d*[MGT]i")
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
# A call's is that of VGG-16 and a 512x512 image; a version's that of VGG-16 in float32, where its export.json says
# nothing else. The server itself takes 0.3 GB. docs/deploying/sizing.md.
_GB_A_CALL, _GB_A_VERSION, _SERVER_GB = Decimal("0.2"), Decimal("1.0"), Decimal("0.3")
_CALLS_A_THREAD = 8
_LEAST_MEMORY_GIB = 6


@dataclass(frozen=True)
class Model:
    """A model: its name in calls, the folder of its versions, the versions to load, rising, and their labels."""

    name: str
    folder: Path
    versions: tuple[int, ...]
    labels: Mapping[str, int]

    @property
    def base_path(self) -> str:
        """Where the server sees the folder."""
        return f"/models/{self.name}"

    @property
    def gb_in_memory(self) -> Decimal:
        """Of its versions, of which a canary or a promotion holds at least two."""
        each = [_version_gb(self.folder / str(number)) for number in self.versions]
        return sum(each, max(each) if len(each) == 1 else Decimal(0))

    @property
    def build_context(self) -> str:
        """The name as one that `docker build --build-context` takes."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")


@dataclass(frozen=True)
class Claim:
    """A volume that all replicas read the models from."""

    storage_class: str | None = None
    access_mode: str = "ReadWriteMany"
    size: str = "10Gi"


@dataclass(frozen=True)
class Plan:
    """One deployment. `cpu` and `memory_asked` are Kubernetes quantities, such as `2`, `500m` and `6Gi`.

    Without `memory_asked` the memory follows the models and the CPUs. The models lie in `built_image` on Kubernetes,
    unless there is a claim or an address that pods copy them from, and with Docker too if they are `baked`.
    """

    models: tuple[Model, ...]
    name: str = "serving"
    replicas: int = 2
    image: str = STOCK_IMAGE
    built_image: str = "serving-models"
    claim: Claim | None = None
    copy_from: str | None = None
    kserve: bool = False
    cpu: str = "2"
    memory_asked: str | None = None
    baked: bool = False
    gpus: int = 0
    batching: bool = False
    monitoring: bool = False
    tls: ServerTls | None = None

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ServingConfigError(problem)

    def _problem(self) -> str | None:
        names = [model.name for model in self.models]
        contexts = {model.build_context for model in self.models}
        if len(set(names)) < len(names):
            return "two models have the same name: give each --model its own NAME"
        if len(contexts) < len(names) or "" in contexts:
            return f"the names {', '.join(names)} differ too little: letters and digits must tell them apart"
        if not _DNS_LABEL.fullmatch(self.name):
            return f"--name {self.name}: use lowercase letters, digits and -, at most 42"
        if self.name in ("true", "false", "null", *TRUTHS):
            return f"--name {self.name}: in YAML that is no text, choose another"
        if not 1 <= self.replicas <= 1000:
            return f"--replicas {self.replicas}: give it 1 to 1000"
        if not _CPU.fullmatch(self.cpu) or self.cores == 0:
            return f"--cpu {self.cpu}: write cores, such as 2 or 500m"
        if self.memory_asked is not None and not _MEMORY.fullmatch(self.memory_asked):
            return f"--memory {self.memory_asked}: write it in Mi or Gi, such as 6Gi"
        if self.memory_asked is not None and (quantity(self.memory_asked) or 0) < LEAST_MEMORY:
            return f"--memory {self.memory_asked}: the server alone takes more, {MEMORY_ADVICE}"
        if self.copy_from is not None and not _STORE.fullmatch(self.copy_from):
            return f"--copy-from {self.copy_from}: write s3://BUCKET/FOLDER, gs://... or az://..."
        if self.claim and not _SIZE.fullmatch(self.claim.size):
            return f"--size {self.claim.size}: write it in Mi, Gi or Ti, such as 10Gi"
        if self.claim and self.claim.storage_class and not _OBJECT_NAME.fullmatch(self.claim.storage_class):
            return f"--storage-class {self.claim.storage_class}: use lowercase letters, digits, - and ."
        if self.copy_from is not None and self.claim:
            return "the models lie on a claim or are copied from a store: give --no-claim, or leave --copy-from out"
        for option, image in (("--image", self.image), ("--built-image", self.built_image)):
            if wrong := images.fault(image):
                return f"{option}: {', '.join(wrong)}"
            if not re.fullmatch(r"[\w.:/@-]+", image):
                return f"{option} {image}: not the name of an image"
        if not 0 <= self.gpus <= 16:
            return f"--gpus {self.gpus}: give it 0 to 16"
        if self.gpus and self.image == STOCK_IMAGE:
            return (
                f"--gpus needs --image, an image of TensorFlow Serving built for GPUs: {STOCK_IMAGE} computes on "
                "CPUs, and no image of 2.20.0 for GPUs is known to exist"
            )
        return None

    @property
    def built(self) -> str:
        """The image that holds the models, with its tag: the versions, where it was named without one."""
        if self.built_is_tagged:
            return self.built_image
        tag = ".".join("-".join(map(str, model.versions)) for model in self.models)
        return f"{self.built_image}:{tag}"

    @property
    def built_is_tagged(self) -> bool:
        """Whether the image that holds the models was named with a tag or a digest."""
        return "@" in self.built_image or ":" in self.built_image.rpartition("/")[2]

    @property
    def is_built(self) -> bool:
        """Whether the models lie in an image on Kubernetes."""
        return self.claim is None and self.copy_from is None

    @property
    def bytes_on_disk(self) -> int:
        """Of all versions that are here."""
        files = (file for m in self.models for v in m.versions for file in (m.folder / str(v)).rglob("*"))
        return sum(file.stat().st_size for file in files if file.is_file())

    @property
    def startup_seconds(self) -> int:
        """How long the server may take until it answers: 5 minutes, and a second for each 20 MB to be read."""
        return 300 + self.bytes_on_disk // 20_000_000

    @property
    def cores(self) -> Decimal:
        """The CPU limit in cores."""
        return Decimal(self.cpu[:-1]) / 1000 if self.cpu.endswith("m") else Decimal(self.cpu)

    @property
    def threads(self) -> int:
        """Threads of the server: the CPU limit, rounded up."""
        return math.ceil(self.cores)

    @property
    def loaded_versions(self) -> int:
        """Versions in memory at once: a canary or a promotion holds two of a model."""
        return sum(max(2, len(model.versions)) for model in self.models)

    @property
    def memory(self) -> str:
        """The memory limit of a replica."""
        fitting = _gib(self.needed_gb(_CALLS_A_THREAD * self.threads))
        return self.memory_asked or f"{max(_LEAST_MEMORY_GIB, fitting)}Gi"

    @property
    def calls(self) -> int:
        """Calls at once: what fits the memory, but enough for the threads, and no more than keep them busy."""
        room = self._memory_gb - self.versions_gb
        return max(self.threads, min(_CALLS_A_THREAD * self.threads, int(room / _GB_A_CALL)))

    def needed_gb(self, calls: int) -> Decimal:
        """What the versions and so many calls need."""
        return self.versions_gb + calls * _GB_A_CALL

    @property
    def versions_gb(self) -> Decimal:
        """What the loaded versions take of the memory."""
        return sum((model.gb_in_memory for model in self.models), Decimal(0))

    @property
    def mean_gb(self) -> str:
        """GB a loaded version."""
        return f"{self.versions_gb / self.loaded_versions:.2f}".rstrip("0").rstrip(".")

    @property
    def warning(self) -> str | None:
        """Says that the memory is too small for one call on each thread, where it is."""
        needed = self.needed_gb(self.threads)
        if self._memory_gb >= needed:
            return None
        return (
            f"--memory {self.memory} is less than the {needed} GB that {self.loaded_versions} versions of "
            f"{self.mean_gb} GB and a 512x512 call of VGG-16 on each CPU need: give it {_gib(needed)}Gi, unless calls "
            "are smaller"
        )

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return int(self.memory[:-2]) * (2**30 if self.memory.endswith("Gi") else 2**20)

    @property
    def _memory_gb(self) -> Decimal:
        return Decimal(self.memory_bytes) / 10**9

    @property
    def compose_memory(self) -> str:
        """The memory limit as compose writes it."""
        return self.memory.removesuffix("i").lower()

    @property
    def flags(self) -> dict[str, str]:
        """The server's flags that depend on the plan."""
        return {
            "tensorflow_intra_op_parallelism": str(self.threads),
            "tensorflow_inter_op_parallelism": str(self.threads),
            # One of gRPC's threads waits for the next call and answers none.
            "grpc_max_threads": str(self.calls + 1),
        }

    @property
    def extra_flags(self) -> list[tuple[str, str]]:
        """Further flags, each after the comment that explains it."""
        extra = []
        if self.tls:
            extra.append(("TLS on the gRPC port.", "--ssl_config_file=/tls/ssl.config"))
        if self.batching:
            extra.append(
                ("Batching; batching.config says which signatures it suits.", "--enable_batching=true")
            )
            extra.append(("", "--batching_parameters_file=/config/batching.config"))
            extra.append(
                (
                    "Warm-up requests for label maps fail with batching, and the version with them.",
                    "--enable_model_warmup=false",
                )
            )
        return extra

    @property
    def health_check(self) -> str:
        """A line of bash that succeeds when every model has a version AVAILABLE."""
        return " && ".join(
            "exec 3<>/dev/tcp/127.0.0.1/8501 && "
            rf"printf 'GET /v1/models/{model.name} HTTP/1.0\r\n\r\n' >&3 && grep -q AVAILABLE <&3"
            for model in self.models
        )


def _version_gb(folder: Path) -> Decimal:
    """GB of a version in memory, as its export reckoned it, with its half of the server; to a tenth."""
    try:
        size = json.loads((folder / "assets.extra" / "export.json").read_bytes())["memory_bytes"]
        return round(Decimal(size) / 10**9 + _SERVER_GB / 2, 1)
    except (OSError, ValueError, KeyError, TypeError):
        return _GB_A_VERSION


def _gib(gigabytes: Decimal) -> int:
    return math.ceil(gigabytes * 10**9 / 2**30)


def model(argument: str, versions: tuple[int, ...]) -> Model:
    """The model of a `NAME=DIR` argument; without `versions` the newest on disk.

    The lowest version gets the label `stable`, the highest `canary`.

    Raises:
        ServingConfigError: the argument is not of that form, or DIR lacks the versions.
    """
    name, _, folder_text = argument.partition("=")
    if not folder_text or not _MODEL.fullmatch(name):
        raise ServingConfigError(f"--model {argument}: write NAME=DIR, such as vgg_16=models/vgg_16")
    folder = path_argument(folder_text)
    on_disk = list(version_folders(folder)) if folder.is_dir() else []
    if not versions and not on_disk:
        advice = "export a model there, or name the versions with --versions"
        raise ServingConfigError(f"no version of {name} in {folder}: {advice}")
    missing = [number for number in versions if number not in on_disk] if on_disk else []
    if missing:
        raise ServingConfigError(f"{folder} has no version {missing[0]}: export it, or correct --versions")
    versions = tuple(sorted(set(versions))) or (on_disk[-1],)
    return Model(name, folder, versions, {"stable": versions[0], "canary": versions[-1]})


def versions(arguments: list[str], names: list[str]) -> dict[str, tuple[int, ...]]:
    """The versions of each model from `NAME=1,2` arguments (`1,2` where there is one model).

    Raises:
        ServingConfigError: an argument is of another form, or names no model.
    """
    found: dict[str, tuple[int, ...]] = {}
    for argument in arguments:
        name, equals, text = argument.rpartition("=")
        name = name if equals else names[0]
        if name not in names or (not equals and len(names) > 1):
            raise ServingConfigError(f"--versions {argument}: write NAME=1,2 with one of {', '.join(names)}")
        if not re.fullmatch(r"\d+(,\d+)*", text):
            raise ServingConfigError(f"--versions {argument}: write version numbers, such as {name}=1,2")
        found[name] = tuple(int(number) for number in text.split(","))
    return found
