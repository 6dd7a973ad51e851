"""A process that serves one version of a model by `slimserve.testing`: python -m ... PORT VERSION."""

import sys
import time

import numpy as np
from slimserve.testing import Model, Server


def model(version: int) -> Model:
    """A version whose names and labels are its own."""
    names = [f"{letter}{version}" for letter in "abc"]
    return Model(
        names,
        scores=[0.5, 0.3, 0.2] if version % 2 else [0.1, 0.2, 0.7],
        label_map=lambda pixels: (pixels[..., 0].astype(np.uint8) // 100 + version) % 3,
    )


if __name__ == "__main__":
    port, version = map(int, sys.argv[1:])
    with Server({"m": {version: model(version)}}, port=port) as server:
        print(server.port, flush=True)
        time.sleep(3600)
