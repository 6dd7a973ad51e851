"""What a new list of models must satisfy before anything changes (server_core.cc of TensorFlow Serving)."""

from collections.abc import Mapping

from ..server.models_config import PLATFORM, local_path, wanted_versions
from ..server.protocol import ModelConfig, ModelConfigList, ModelServerConfig
from . import rpc_error

_TENSORFLOW = 1  # of ModelType


def check(config: ModelServerConfig, served: Mapping[str, ModelConfig]) -> ModelConfigList:
    """The list of models in `config`, which may replace the models `served` now, by name.

    TensorFlow Serving waits without end for a base path that does not exist and for a new model without a
    version; here both are refused.

    Raises:
        RpcError: the list cannot be served; nothing has changed.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise rpc_error.invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    models = config.model_config_list
    names: set[str] = set()
    for model in models.config:
        if model.name in names:
            raise rpc_error.invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        names.add(model.name)
        _check_model(model, served.get(model.name))
    return models


def _check_model(model: ModelConfig, before: ModelConfig | None) -> None:
    path = local_path(model.base_path)
    if not path.is_absolute():
        raise rpc_error.invalid_argument(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        )
    platform = _platform(model)
    if before is not None and platform != _platform(before):
        raise rpc_error.invalid_argument(
            f"Illegal to change a model's platform. For model {model.name} platform was {_platform(before)} and new "
            f"platform requested is {platform}"
        )
    if platform != PLATFORM:
        raise rpc_error.invalid_argument(f"Model {model.name} requests unsupported platform {platform}")
    if not path.is_dir():
        raise rpc_error.invalid_argument(f"Could not find base path {path} for servable {model.name}")
    if before is None and not wanted_versions(model):
        raise rpc_error.not_found(
            f"Unable to find a numerical version path for servable {model.name} at: {path}"
        )


def _platform(model: ModelConfig) -> str:
    platform = model.model_platform
    fields = (
        "ModelServerConfig::model_type (deprecated) {} ModelServerConfig::model_platform, model name is {}"
    )
    if model.model_type and platform:
        raise rpc_error.invalid_argument(f"Illegal setting both {fields.format('and', model.name)}")
    if not model.model_type and not platform:
        raise rpc_error.invalid_argument(f"Illegal setting neither {fields.format('nor', model.name)}")
    return platform or (PLATFORM if model.model_type == _TENSORFLOW else "other")


def check_labels(model: ModelConfig, available: set[int], labels: Mapping[str, int]) -> dict[str, int]:
    """The model's labels in the new list, given the versions now available and the labels it has now.

    A label may be given to a version that is still to come, but not moved to one: TensorFlow Serving's
    `--allow_version_labels_for_unavailable_models`, without which no list with labels would start a server.

    Raises:
        RpcError: FAILED_PRECONDITION.
    """
    for label, version in model.version_labels.items():
        if version not in available and labels.get(label, version) != version:
            raise rpc_error.failed_precondition(
                f"Request to assign label to version {version} of model {model.name}, "
                "which is not currently available for inference"
            )
    return dict(model.version_labels)
