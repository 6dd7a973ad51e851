"""The models.config of a server that the suite can ask: `python -m tests.contract.models_config FOLDER`."""

import sys
from pathlib import Path

from tests.support.recorded import RECORDED

_VGG_16 = '  config { name: "vgg_16" base_path: "MODELS/vgg_16" model_platform: "tensorflow" }\n}\n'


def models_config(folder: Path) -> str:
    """What lists the recorded models and, where it is in the folder, vgg_16."""
    text = (RECORDED / "models.config").read_text()
    if (folder / "vgg_16").is_dir():
        text = text.rstrip().removesuffix("}") + _VGG_16
    return text.replace("MODELS", str(folder))


if __name__ == "__main__":
    print(models_config(Path(sys.argv[1]).resolve()), end="")
