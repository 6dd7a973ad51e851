"""What probes and health checks ask of a server, and what collects its metrics."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..configs.text_proto import Node
from ..finding import Finding, joined
from .described_server import STOCK_IMAGE, DescribedServer

# A word of a path, such as the name of a model, is no program.
_NOT_IN_THE_IMAGE = re.compile(
    r"\b(grpc_health_probe|grpcurl)\b"
    r"|(?<![\w/.:-])(?:/\S*bin/)?(curl|wget|python3?|nc|netcat|telnet)(?![\w./:-])"
)
_PROBED_PORT = re.compile(r"/dev/tcp/[^/]+/(\d+)")
_PROBED_MODEL = re.compile(r"/v1/models/([\w.-]+)(?:/(?:versions/\d+|labels/[\w.-]+))?(?:/metadata)?")
METRICS = "/monitoring/prometheus/metrics"
"""Where the metrics are, unless the configuration says something else."""


def missing_program(image: str, script: str) -> str | None:
    """The program that a script calls and the stock image lacks, if it is that image."""
    found = _NOT_IN_THE_IMAGE.search(script) if STOCK_IMAGE.match(image) else None
    return found and (found[1] or found[2])


def findings(server: DescribedServer, config: Node | None, monitoring: Node | None) -> Iterator[Finding]:
    """What is asked in vain of the server, given what its two configurations say, None where unknown."""
    names = None
    if config is not None:
        names = [model.value("name") for model in config.all("model_config_list", "config")]
    if "model_config_file" not in server.flags.given and "model_name" in server.flags.given:
        names = [server.flags.value("model_name")]
    yield from _probes(server, names)
    yield from _rest_paths(server, names, monitoring)


def _probes(server: DescribedServer, names: list[str] | None) -> Iterator[Finding]:
    for line in server.grpc_probes:
        health = "enable_grpc_healthcheck_service"
        if not server.flags.on(health) and health not in server.flags.broken:
            advice = "it would never succeed: add --enable_grpc_healthcheck_service=true"
            yield server.fault("a gRPC probe of a server without the health service", advice, line)
        if server.encrypted:
            advice = "Kubernetes' gRPC probes cannot do TLS: probe the REST port from inside"
            yield server.fault("a gRPC probe of a server with TLS", advice, line)
    for script, line in server.scripts:
        missing = missing_program(server.image, script)
        if missing and server.is_closed and not _is_brought(missing, script, server):
            advice = "it would never succeed: use bash and /dev/tcp, or build an image that has it"
            yield server.fault(f"the image has no {missing} for the health check", advice, line)
        # Its sh is dash, to which that is a file.
        elif "/dev/tcp/" in script and server.is_closed and _is_of_sh(server.image, script):
            advice = "sh knows no /dev/tcp, and it would never succeed: run it by bash -c"
            yield server.fault("the health check asks a port by a file that there is not", advice, line)
        for port in _PROBED_PORT.findall(script):
            if server.ports_are_known and port not in (server.port, server.rest_port):
                yield server.fault(f"the health check asks port {port}", server.listens, line)
        for name in _PROBED_MODEL.findall(script):
            yield from _probed_model(server, name, names, line)


def _is_of_sh(image: str, script: str) -> bool:
    shells = set(re.findall(r"\b(?:bash|sh|dash)\b", script))
    return bool(STOCK_IMAGE.match(image) and shells) and "bash" not in shells


def _is_brought(program: str, script: str, server: DescribedServer) -> bool:
    """Whether a mount may hold the program that a script calls."""
    words = re.findall(rf"[\w./-]*{program}", script)
    return any(
        mount.holds(word) if "/" in word else PurePosixPath(mount.target).name in ("bin", word)
        for word in words
        for mount in server.mounts
    )


def _probed_model(
    server: DescribedServer, name: str, names: list[str] | None, line: int
) -> Iterator[Finding]:
    if names is not None and name not in names and not any("$" in each for each in names):
        advice = f"it would never succeed: the models are {joined(names)}"
        yield server.fault(f"the health check asks for the model {name}", advice, line)


def _rest_paths(
    server: DescribedServer, names: list[str] | None, monitoring: Node | None
) -> Iterator[Finding]:
    """Paths of the REST API that there are not: it answers for models, and with metrics."""
    metrics = None
    if monitoring is not None:
        where = monitoring.first("prometheus_config", "path")
        is_on = any(group.on("enable") for group in monitoring.all("prometheus_config"))
        metrics = (where.text if where is not None and where.text else METRICS) if is_on else ""
    elif "monitoring_config_file" not in server.flags.given:
        metrics = ""
    for path, line in server.asked_paths:
        found = _PROBED_MODEL.fullmatch(path.partition("?")[0])
        if found:
            yield from _probed_model(server, found[1], names, line)
        elif "$" not in path and metrics is not None and path != metrics:
            advice = "it would never succeed: write /v1/models/NAME with the name of a model"
            yield server.fault(f"a probe asks for {path}, and the REST API has no such path", advice, line)
    for path, file, line in server.scraped:
        if metrics == "":
            advice = "give it --monitoring_config_file=..., with prometheus_config { enable: true }"
            yield Finding(file, line, "Prometheus is sent to a server that shows no metrics", advice)
        elif metrics is not None and path != metrics and "$" not in path:
            yield Finding(file, line, f"Prometheus is sent to {path}", f"the metrics are at {metrics}")
