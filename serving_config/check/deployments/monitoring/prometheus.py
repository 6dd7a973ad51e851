"""What Prometheus is told to collect from the servers of compose files, which it knows by the names of services."""

from collections.abc import Iterator, Sequence
from typing import Any

from ...finding import Finding
from ...servers.described_server import DescribedServer
from ..yaml_file import Document


def is_prometheus(document: Document) -> bool:
    """Whether the document is a configuration of Prometheus."""
    return isinstance(document.data, dict) and isinstance(document.data.get("scrape_configs"), list)


def findings(document: Document, servers: Sequence[DescribedServer]) -> Iterator[Finding]:
    """Targets that are the gRPC port of a server; the paths of the others are looked at with the servers."""
    for at, job in enumerate(document.data["scrape_configs"]):
        if not isinstance(job, dict):
            continue
        path = str(job.get("metrics_path") or "/metrics")
        for where, target in _targets(job):
            host, _, port = target.rpartition(":")
            for server in servers:
                place = ("scrape_configs", at)
                if host not in server.names or not server.ports_are_known:
                    continue
                if port == server.port:
                    message = f"Prometheus is sent to the gRPC port of {host}"
                    advice = "the metrics are on the REST port"
                    yield document.fault(message, advice, *place, *where)
                elif port == server.rest_port:
                    server.scraped.append((path, document.path, document.line(*place, "metrics_path")))


def _targets(job: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    groups = job.get("static_configs")
    for at, group in enumerate(groups if isinstance(groups, list) else ()):
        targets = group.get("targets") if isinstance(group, dict) else None
        for index, target in enumerate(targets if isinstance(targets, list) else ()):
            yield ("static_configs", at, "targets", index), str(target)
