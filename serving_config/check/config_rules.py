"""What must hold in batching.config, monitoring.config and ssl.config beyond their grammar."""

import datetime
import itertools
import stat
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .finding import Finding
from .text_proto import Node


def batching(root: Node, path: Path) -> Iterator[Finding]:
    """The rules of BatchingParameters, of which the server states the first fault only and at model load."""
    for name, least in (
        ("max_batch_size", 1),
        ("num_batch_threads", 1),
        ("batch_timeout_micros", 0),
        ("max_enqueued_batches", 1),
    ):
        node = root.first(name, "value")
        if node is not None and node.number < least:
            yield Finding(path, node.line, f"{name} is {node.text}", f"make it {least} or more")
    sizes = root.all("allowed_batch_sizes")
    for before, node in itertools.pairwise(sizes):
        if node.number <= before.number:
            advice = "the server refuses them: write them in rising order"
            yield Finding(
                path, node.line, f"allowed_batch_sizes goes from {before.text} to {node.text}", advice
            )
    yield from _last_size(root, sizes, path)
    padding = root.first("pad_variable_length_inputs")
    if padding is not None and root.on(padding.name):
        advice = "images of different sizes would get black borders and other answers: set it to false"
        yield Finding(path, padding.line, "pad_variable_length_inputs is on", advice)


def _last_size(root: Node, sizes: list[Node], path: Path) -> Iterator[Finding]:
    splitting = root.on("enable_large_batch_splitting", "value")
    limit_name = "max_execution_batch_size" if splitting else "max_batch_size"
    limit = _size(root, limit_name)
    if sizes and sizes[-1].number != limit:
        message = f"the last of allowed_batch_sizes is {sizes[-1].text} and {limit_name} is {limit}"
        yield Finding(path, sizes[-1].line, message, "no model would load: make them equal")
    execution = root.first("max_execution_batch_size", "value")
    largest = _size(root, "max_batch_size")
    if splitting and execution is not None and execution.number > largest:
        message = f"max_execution_batch_size is {execution.text}, above max_batch_size {largest}"
        yield Finding(path, execution.line, message, "lower it")


def _size(root: Node, name: str) -> int:
    node = root.first(name, "value")
    return 1000 if node is None else node.number


def monitoring(root: Node, path: Path) -> Iterator[Finding]:
    """A Prometheus path that the server can register."""
    node = root.first("prometheus_config", "path")
    if node is not None and node.text and not node.text.startswith("/"):
        yield Finding(path, node.line, f"the metrics' path is {node.text!r}", "begin it with /")


def ssl(root: Node, path: Path) -> Iterator[Finding]:
    """Keys and certificates that parse, belong together and are valid today, in a file that is private."""
    template = path.suffix == ".template"
    key, certificate = root.first("server_key"), root.first("server_cert")
    for name, node in (("server_key", key), ("server_cert", certificate)):
        if node is None or not node.text:
            yield Finding(path, 1, f"{name} is missing", "TLS needs the server's key and certificate: add it")
    verify = root.on("client_verify")
    if verify and not root.value("custom_ca"):
        advice = "add custom_ca, the authority of the callers' certificates"
        yield Finding(path, 1, "client_verify is on without custom_ca", advice)
    if not template:
        yield from _pem(key, certificate, root.first("custom_ca"), path)
        yield from _private(path)


def _pem(key: Node | None, certificate: Node | None, authority: Node | None, path: Path) -> Iterator[Finding]:
    public = None
    if key is not None and key.text:
        try:
            public = serialization.load_pem_private_key(key.text.encode(), password=None).public_key()
        except (ValueError, TypeError) as error:
            reason = "it is encrypted" if isinstance(error, TypeError) else "it does not parse"
            yield Finding(
                path, key.line, f"server_key is no PEM private key, {reason}", "paste the key's PEM text"
            )
    for name, node in (("server_cert", certificate), ("custom_ca", authority)):
        if node is None or not node.text:
            continue
        try:
            chain = x509.load_pem_x509_certificates(node.text.encode())
        except ValueError:
            yield Finding(
                path, node.line, f"{name} holds no PEM certificate", "paste the certificate's PEM text"
            )
            continue
        yield from _valid(chain, name, node, path)
        if name == "server_cert" and public is not None and chain[0].public_key() != public:
            advice = "put the server's own certificate first, and the key that belongs to it"
            yield Finding(path, node.line, "server_cert and server_key do not belong together", advice)


def _valid(chain: list[x509.Certificate], name: str, node: Node, path: Path) -> Iterator[Finding]:
    now = datetime.datetime.now(datetime.timezone.utc)
    for certificate in chain:
        if certificate.not_valid_after_utc < now:
            message = f"{name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
            yield Finding(path, node.line, message, "renew it")
        elif certificate.not_valid_before_utc > now:
            message = f"{name} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}"
            yield Finding(path, node.line, message, "wait, or look at this machine's clock")


def _private(path: Path) -> Iterator[Finding]:
    readable = path.stat().st_mode & stat.S_IROTH
    reachable = path.resolve().parent.stat().st_mode & stat.S_IXOTH
    if readable and reachable:
        advice = f"it holds the private key: chmod 700 {path.parent}, or chmod 600 the file"
        yield Finding(path, 0, "readable by every user of this machine", advice)
