"""Whether a models.config describes the server that a reload would send it to.

A reload replaces everything that the server serves: from another server's file it would unload models, and send
base paths that TensorFlow Serving then waits for until it is restarted. The server tells neither its base paths
nor its list of models, so this compares what it does tell: versions and labels.
"""

from ..errors import COMMAND, ServingConfigError
from ..server.api import ModelService
from .config_file import ConfigFile


def check(service: ModelService, file: ConfigFile, name: str, labels: dict[str, int]) -> None:
    """Refuse a file that the server was not started from, or that has gone another way since.

    Args:
        name: the model whose labels are about to change.
        labels: what they will be. A server that has them already was reached by a command that could not write
            the file: the same command again is to put that right.

    Raises:
        ServingConfigError: a model of the file is unknown to the server, a version that the file lists for this
            model, and that is not asked for now, is not AVAILABLE, or a label is missing or elsewhere.
    """
    difference = _difference(service, file, name, labels)
    if difference:
        raise ServingConfigError(
            f"{file.path} does not describe the server at {service.address}: {difference}; name the file that the "
            "server was started from with --models-config, or start it from this one: "
            f"`{COMMAND} up --models-config {file.path}` (with --models-root where base paths name /models)"
        )


def _difference(service: ModelService, file: ConfigFile, name: str, labels: dict[str, int]) -> str | None:
    for other in file.config.model_config_list.config:
        if not service.versions(other.name):
            return f"the server has no model {other.name}"
    model = file.model(name)
    states = {status.version: status.state for status in service.versions(name)}
    served = {label: service.labelled(name, label) for label in sorted({*model.version_labels, *labels})}
    if all(served[label] == version for label, version in labels.items()):
        return None
    for version in sorted(set(model.model_version_policy.specific.versions) - set(labels.values())):
        if states.get(version) != "AVAILABLE":
            return f"{name} version {version} is not AVAILABLE there ({states.get(version, 'never seen')})"
    for label, version in sorted(model.version_labels.items()):
        if states.get(version) == "AVAILABLE" and served[label] not in (version, labels.get(label)):
            where = "missing" if served[label] is None else f"on version {served[label]}"
            return f"label {label} of {name} is {where} there, and on version {version} in the file"
    return None
