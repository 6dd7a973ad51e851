"""What must hold in batching.config, monitoring.config and ssl.config beyond their grammar."""

import datetime
import os
import stat
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ..finding import Finding
from .text_proto import Node


def batching(root: Node) -> Iterator[Finding]:
    """The rules of BatchingParameters, of which the server states the first fault only and at model load."""
    least = {
        "max_batch_size": 1,
        "num_batch_threads": 1,
        "batch_timeout_micros": 0,
        "max_enqueued_batches": 1,
    }
    for name, number in least.items():
        node = root.first(name, "value")
        if node is not None and node.number < number:
            yield node.fault(f"{name} is {node.text}", f"make it {number} or more")
    sizes = root.all("allowed_batch_sizes")
    for index, node in enumerate(sizes):
        largest = max((each.number for each in sizes[:index]), default=0)
        if node.number <= largest:  # a batch gets the first size that holds it
            message = f"the size {node.text} of allowed_batch_sizes is never used"
            advice = f"it is behind {largest}" if largest else "a batch holds 1 or more"
            yield node.fault(message, advice).as_note()
    yield from _last_size(root, sizes)
    timeout = root.first("batch_timeout_micros", "value")
    if timeout is not None and timeout.number >= 1_000_000:
        message = f"each call may wait {timeout.number / 1e6:g} s for others"
        yield timeout.fault(message, "the number is of microseconds: 5000 is usual").as_note()
    padding = root.first("pad_variable_length_inputs")
    if padding is not None and root.on(padding.name):
        advice = "images of different sizes would get black borders and other answers: set it to false"
        yield padding.fault("pad_variable_length_inputs is on", advice)


def _last_size(root: Node, sizes: list[Node]) -> Iterator[Finding]:
    """The size of the largest batches, and what they are split into."""
    given = root.first("max_batch_size", "value")
    limit = 1000 if given is None else given.number
    if sizes and sizes[-1].number != limit:
        message = f"the last of allowed_batch_sizes is {sizes[-1].text} and max_batch_size is {limit}"
        yield sizes[-1].fault(message, "no model would load: make them equal")
    splitting = root.first("enable_large_batch_splitting", "value")
    if splitting is None or not root.on("enable_large_batch_splitting", "value"):
        return
    execution = root.first("max_execution_batch_size", "value")
    if execution is not None and execution.number > limit:
        message = f"max_execution_batch_size is {execution.text}, above max_batch_size {limit}"
        yield execution.fault(message, "lower it")
    elif execution is not None and execution.number < 1:
        message = f"max_execution_batch_size is {execution.text}"
        yield execution.fault(message, "the server would refuse every call: make it 1 or more")
    elif execution is None and given is None:
        advice = "the server would refuse every call: give max_batch_size"
        yield splitting.fault("batches are split, and no size is given", advice)


def monitoring(root: Node) -> Iterator[Finding]:
    """A Prometheus path that the server can register."""
    node = root.first("prometheus_config", "path")
    if node is not None and node.text and not node.text.startswith("/"):
        yield node.fault(f"the metrics' path is {node.text!r}", "begin it with /")


def ssl(root: Node) -> Iterator[Finding]:
    """Keys and certificates that parse, belong together and are valid today, in a file that is private."""
    pem = {name: root.first(name) for name in ("server_key", "server_cert", "custom_ca")}
    given = {name: node for name, node in pem.items() if node is not None and node.text}
    for name in ("server_key", "server_cert"):
        if name not in given:
            yield root.fault(f"{name} is missing", "TLS needs the server's key and certificate: add it")
    if root.on("client_verify") and "custom_ca" not in given:
        advice = "add custom_ca, the authority of the callers' certificates"
        yield root.fault("client_verify is on without custom_ca", advice)
    if root.path.suffix != ".template":
        yield from _pem(given)
        yield from _private(root)


def _pem(given: dict[str, Node]) -> Iterator[Finding]:
    public = None
    for name, node in given.items():
        text = str(node.text).encode()
        try:
            if name == "server_key":
                public = serialization.load_pem_private_key(text, password=None).public_key()
                continue
            chain = x509.load_pem_x509_certificates(text)
        except (ValueError, TypeError) as error:
            if name == "server_key":
                reason = "it is encrypted" if isinstance(error, TypeError) else "it does not parse"
                reason = "it is a certificate" if "CERTIFICATE-" in str(node.text) else reason
                yield node.fault(f"server_key is no PEM private key, {reason}", "paste the key's PEM text")
            else:
                yield node.fault(f"{name} holds no PEM certificate", "paste the certificate's PEM text")
            continue
        yield from _valid(chain, name, node)
        if name == "custom_ca":
            yield from _authority(chain, node)
        if name == "server_cert" and public is not None and chain[0].public_key() != public:
            advice = "put the server's own certificate first, and the key that belongs to it"
            yield node.fault("server_cert and server_key do not belong together", advice)


def _authority(chain: list[x509.Certificate], node: Node) -> Iterator[Finding]:
    for certificate in chain:
        try:
            is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (x509.ExtensionNotFound, ValueError):
            continue
        if not is_authority and certificate.issuer != certificate.subject:
            advice = "no caller's certificate would be accepted: paste the authority's that signed them"
            yield node.fault("custom_ca holds a certificate that is no authority's", advice)


def _valid(chain: list[x509.Certificate], name: str, node: Node) -> Iterator[Finding]:
    now = datetime.datetime.now(datetime.timezone.utc)
    for certificate in chain:
        if certificate.not_valid_after_utc < now:
            yield node.fault(f"{name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}", "renew it")
        elif certificate.not_valid_before_utc > now:
            message = f"{name} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}"
            yield node.fault(message, "wait, or look at this machine's clock")


def _private(root: Node) -> Iterator[Finding]:
    path = root.path
    readable = path.stat().st_mode & stat.S_IROTH
    reachable = path.resolve().parent.stat().st_mode & stat.S_IXOTH
    if readable and reachable and os.name == "posix":  # Windows keeps no such bits
        advice = f"it holds the private key: chmod 700 {path.parent}, or chmod 600 the file"
        yield Finding(path, 0, "readable by every user of this machine", advice)
