"""The server's stand-in in an image of the tests, started without Docker."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from slimserve import Client
from slimserve.serving_config.server import ports

from tests.support.recorded import RECORDED
from tests.support.sources import ROOT

STAND_IN = Path(__file__).with_name("model_server.py")


@pytest.mark.timeout(120)
def test_the_stand_in_takes_the_flags_of_an_image_and_answers(tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    base = RECORDED / "models" / "affine"
    config.write_text(
        f'model_config_list {{ config {{ name: "affine" base_path: "{base}" model_platform: "tensorflow" }} }}'
    )
    port, rest = (ports.free("127.0.0.1") for _ in range(2))
    words = [f"--port={port}", f"--rest_api_port={rest}", f"--model_config_file={config}"]
    words += ["--tensorflow_intra_op_parallelism=1", "--grpc_max_threads=3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, STAND_IN, *words], env=environment)
    try:
        with Client(f"127.0.0.1:{port}", model="affine") as client:
            client.wait_until_ready(timeout=90)
            assert client.predict({"x": np.float32([1.0])})["y"].shape == (1,)
        with urllib.request.urlopen(f"http://127.0.0.1:{rest}/v1/models/affine", timeout=10) as page:
            assert b"AVAILABLE" in page.read()
    finally:
        process.kill()
        process.wait()
