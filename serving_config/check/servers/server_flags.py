"""The flags of tensorflow_model_server 2.20.0 (model_servers/main.cc), and how a command line reads them."""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..finding import Finding
from .environment import UNKNOWN

_BY_KIND = {
    "bool": """rest_api_enable_cors_support enable_batching allow_version_labels_for_unavailable_models
        enable_per_model_batching_parameters flush_filesystem_caches use_alts_credentials enable_model_warmup
        version remove_unused_fields_from_bundle_metagraph prefer_tflite_model
        enable_signature_method_name_check xla_cpu_compilation_enabled xla_gpu_compilation_enabled
        enable_profiler skip_initialize_tpu enable_grpc_healthcheck_service
        enable_serialization_as_tensor_content""",
    "int": """port rest_api_port rest_api_num_threads rest_api_timeout_in_ms
        model_config_file_poll_wait_seconds
        num_load_threads num_unload_threads max_num_load_retries load_retry_interval_micros
        file_system_poll_wait_seconds tensorflow_session_parallelism tensorflow_intra_op_parallelism
        tensorflow_inter_op_parallelism grpc_max_threads num_request_iterations_for_warmup num_tflite_pools
        num_tflite_interpreters_per_pool""",
    "float": "per_process_gpu_memory_fraction",
    "string": """grpc_socket_path batching_parameters_file model_config_file model_name model_base_path
        tensorflow_session_config_file ssl_config_file platform_config_file saved_model_tags
        grpc_channel_arguments monitoring_config_file thread_pool_factory_config_file mixed_precision""",
}
_RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65535),
    "rest_api_port": (0, 65535),
    "per_process_gpu_memory_fraction": (0, 1),
    "rest_api_num_threads": (1, math.inf),
    "num_tflite_interpreters_per_pool": (1, math.inf),
    # What means something below 0 as well.
    "load_retry_interval_micros": (-math.inf, math.inf),
    "tensorflow_inter_op_parallelism": (-math.inf, math.inf),
    "rest_api_timeout_in_ms": (-math.inf, math.inf),
}
_WANTED = {"bool": "true or false", "int": "a whole number", "float": "a number", "string": "a value"}
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
"""How a truth value is written, in letters of any case."""
_NUMBERS = {
    "int": re.compile(r"\s*[+-]?\d+"),
    "float": re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
}
"""What the server reads as a number: C's own notation, nothing behind it."""
KINDS = {name: kind for kind, names in _BY_KIND.items() for name in names.split()}
_SINCE = {
    (2, 3): "prefer_tflite_model",
    (2, 4): "enable_signature_method_name_check",
    (2, 5): (
        "enable_profiler grpc_max_threads num_load_threads num_tflite_interpreters_per_pool num_tflite_pools "
        "num_unload_threads rest_api_enable_cors_support xla_cpu_compilation_enabled"
    ),
    (2, 6): "thread_pool_factory_config_file use_alts_credentials",
    (2, 8): "num_request_iterations_for_warmup tensorflow_session_config_file",
    (2, 11): "enable_per_model_batching_parameters",
    (2, 15): "enable_grpc_healthcheck_service mixed_precision skip_initialize_tpu",
    (2, 18): "xla_gpu_compilation_enabled",
    (2, 19): "enable_serialization_as_tensor_content",
}
"""The releases of version 2 that brought flags."""
FILE_FLAGS = [name for name in KINDS if name.endswith("_file")]
DEFAULT_PORT = "8500"


@dataclass(frozen=True)
class Flag:
    """A flag as it was given: its value as text, and where; `implied` by the script of the stock image."""

    value: str
    line: int
    implied: bool = False


@dataclass(frozen=True)
class Flags:
    """The flags of one server's command line; `line` is where that begins."""

    given: dict[str, Flag]
    path: Path
    line: int
    broken: frozenset[str] = frozenset()
    """Flags whose values cannot be read as they were meant."""

    def value(self, name: str, default: str = "") -> str:
        """The flag's value, or `default` where it was not given."""
        return self.given[name].value if name in self.given else default

    def on(self, name: str) -> bool:
        """Whether a boolean flag was given as true."""
        return _TRUTHS.get(self.value(name).lower(), False)

    def at(self, name: str) -> int:
        """The flag's line, or that of the command where it was not given."""
        return self.given[name].line if name in self.given else self.line


def parse(
    words: Iterable[tuple[str, int]], path: Path, line: int, implied: Mapping[str, str]
) -> tuple[Flags, list[Finding]]:
    """Read a command line, as (word, line) pairs after flags that are implied, as TensorFlow's flag parser would."""
    given = {name: Flag(value, line, implied=True) for name, value in implied.items()}
    faults: list[Finding] = []
    broken: set[str] = set()
    rest = list(words)
    while rest:
        word, at = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            advice = "the server ignores it: write a flag and its value as one word, --flag=value"
            faults.append(Finding(path, at, f"{word} is not a flag", advice))
            continue
        if name not in KINDS:
            known = name.replace("-", "_").partition(" ")[0]
            close = [known] if known in KINDS else difflib.get_close_matches(name, KINDS, n=1)
            advice = f"the server ignores it: {f'did you mean --{close[0]}?' if close else 'remove it'}"
            if " " in name and known in KINDS:
                advice = f"the server ignores it: write --{known}={name.partition(' ')[2].strip()}"
            faults.append(Finding(path, at, f"tensorflow_model_server 2.20.0 has no flag --{name}", advice))
            broken.update(close)
            continue
        if not equals and KINDS[name] != "bool":
            value = rest.pop(0)[0] if rest and not rest[0][0].startswith("--") else "..."
            advice = f"the server ignores it: write --{name}={value} as one word"
            faults.append(Finding(path, at, f"--{name} has no value", advice))
            broken.add(name)
            continue
        if name in given and not given[name].implied:
            faults.append(Finding(path, at, f"--{name} is given twice", "keep one"))
        given[name] = Flag(value if equals else "true", at)
        wrong = _quotes(name, value, path, at) or list(_type_faults(name, value, equals, path, at))
        faults.extend(wrong)
        broken.update([name] if wrong else [])
    return Flags(given, path, line, frozenset(broken)), faults


def _quotes(name: str, value: str, path: Path, line: int) -> list[Finding]:
    """Quotes that no shell takes away, and a second flag behind the first."""
    first, blanks, second = value.partition(" --")
    if blanks and not name.startswith("grpc_channel"):
        advice = f"write --{name}={first.strip()} and --{second} as two words"
        return [Finding(path, line, f"--{name} and another flag are one word", advice)]
    bare = value.strip("\"'")
    if len(bare) > len(value) - 2 or value[0] != value[-1]:
        return []
    return [Finding(path, line, f"the quotes are part of --{name}", f"write --{name}={bare}")]


def _type_faults(name: str, value: str, equals: str, path: Path, line: int) -> Iterator[Finding]:
    kind = KINDS[name]
    if "$" in value:  # a variable whose value is not known
        return
    good = kind == "string"
    if kind == "bool":
        good = not equals or value.lower() in _TRUTHS
    elif kind in _NUMBERS:
        good = bool(_NUMBERS[kind].fullmatch(value))
    low, high = _RANGES.get(name, (0, math.inf))
    if not good:
        advice = f"the server stops at start: give it {_WANTED[kind]}"
        yield Finding(path, line, f"--{name}={value}", advice)
    elif kind in ("int", "float") and not low <= float(value) <= high:
        span = f"{low} or more" if high == math.inf else f"{low} to {high}"
        yield Finding(path, line, f"--{name}={value}", f"give it {span}")


def too_new(flags: Flags, release: tuple[int, int] | None) -> Iterator[Finding]:
    """Flags that a release of the server, which its image names, does not have yet."""
    for since, names in _SINCE.items():
        for name in names.split():
            if release is not None and release < since and name in flags.given:
                number, first = (".".join(map(str, each)) for each in (release, since))
                advice = f"the server ignores it: take an image of {first} or later, or remove it"
                message = f"TensorFlow Serving {number} has no flag --{name} yet"
                yield Finding(flags.path, flags.at(name), message, advice)


def contradictions(flags: Flags) -> Iterator[Finding]:
    """Flags of one command line that do not go together."""

    def fault(name: str, message: str, advice: str) -> Finding:
        return Finding(flags.path, flags.at(name), message, advice)

    given = flags.given
    for name in ("batching_parameters_file", "enable_per_model_batching_parameters"):
        if name in given and not flags.on("enable_batching"):
            yield fault(
                name, f"--{name} without --enable_batching", "add --enable_batching=true or remove it"
            )
    for name in ("model_name", "model_base_path"):
        if name in given and not given[name].implied and "model_config_file" in given:
            yield fault(name, f"--{name} is ignored beside --model_config_file", "remove it")
    if flags.value("port") == "0" and not flags.value("grpc_socket_path"):
        yield fault("port", "--port=0 without --grpc_socket_path", "the server stops at start: give it one")
    if flags.value("port", DEFAULT_PORT) == flags.value("rest_api_port", "0") not in ("0", UNKNOWN):
        advice = "the REST API would not start: change one"
        yield fault("rest_api_port", "--port and --rest_api_port are the same", advice)
    if "monitoring_config_file" in given and flags.value("rest_api_port", "0") == "0":
        message = "metrics are served by the REST API, which is off"
        yield fault("monitoring_config_file", message, "add --rest_api_port=8501")
    threads = [f"tensorflow_{scope}_parallelism" for scope in ("session", "intra_op", "inter_op")]
    if all(flags.value(name, "0") != "0" for name in threads):
        message = f"--{threads[0]} beside the other two"
        yield fault(threads[0], message, "the server stops at start: remove it")
    if flags.value("grpc_max_threads") in ("0", "1"):
        message = f"--grpc_max_threads={flags.value('grpc_max_threads')} answers no call"
        yield fault("grpc_max_threads", message, "one thread waits for the next call: N + 1 answer N calls")
    if flags.on("use_alts_credentials") and "ssl_config_file" in given:
        message = "--use_alts_credentials beside --ssl_config_file"
        yield fault("use_alts_credentials", message, "the server stops at start: keep one")
    if flags.on("enable_batching") and "platform_config_file" in given:
        yield fault(
            "enable_batching", "--enable_batching is ignored beside --platform_config_file", "remove one"
        )
    for argument in filter(None, flags.value("grpc_channel_arguments").split(",")):
        if argument.count("=") != 1:
            advice = "the server crashes at start: write name=value,name=value"
            yield fault("grpc_channel_arguments", f"--grpc_channel_arguments holds {argument!r}", advice)
        elif argument != "".join(argument.split()):
            advice = "gRPC would know no argument of that name: write no blanks"
            yield fault("grpc_channel_arguments", f"--grpc_channel_arguments holds {argument!r}", advice)
