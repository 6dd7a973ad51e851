"""The models.config of a server that the suite can ask: `python -m tests.contract.models_config FOLDER`."""

import sys
from pathlib import Path

from tests.support.recorded import RECORDED

_MODEL = '  config {{ name: "{0}" base_path: "MODELS/{0}" model_platform: "tensorflow" }}\n'


def models_config(folder: Path) -> str:
    """What lists the recorded models and, where they are in the folder, vgg_16 and the generated ones."""
    text = (RECORDED / "models.config").read_text().rstrip().removesuffix("}")
    for path in sorted([*folder.glob("vgg_16"), *folder.glob("generated_*")]):
        text += _MODEL.format(path.name)
    return text.replace("MODELS", str(folder)) + "}\n"


if __name__ == "__main__":
    print(models_config(Path(sys.argv[1]).resolve()), end="")
