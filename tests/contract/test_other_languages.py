"""What docs/calling/grpc.md shows for other languages, sent to a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format
from PIL import Image
from slimserve import Client
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.conftest import ROOT
from tests.documentation.pages import BLOCKS
from tests.support.tensors import values

SHOWN = {block.language: block.text for block in BLOCKS if block.page == "docs/calling/grpc.md"}


@pytest.fixture(params=["vgg_16", "vgg_16_of_tensor_content"])
def vgg(request: pytest.FixtureRequest) -> str:
    """Of servers that answer in either place: in typed fields, or in tensor_content as the shipped files say."""
    return str(request.getfixturevalue(request.param))


def test_the_request_in_json_is_answered(vgg: str) -> None:
    request = json_format.Parse(SHOWN["json"], predict_pb2.PredictRequest())
    with grpc.insecure_channel(vgg) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    (image,) = request.inputs["image_bytes"].string_val
    with Client(vgg, model="vgg_16") as client:
        assert values(answer.outputs["class_names"])[0, 0].decode() == client.classify(image).top.name


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Node's gRPC, from the package index."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "@grpc/grpc-js@1", "@grpc/proto-loader@0"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"the package index is not reached: {installed.stderr.strip()[-300:]}")
    return folder


@pytest.mark.soak
def test_node_is_answered_as_this_client_is(node: Path, vgg: str, demo_scene: Path) -> None:
    photo = node / "cat.jpg"
    Image.open(demo_scene).convert("RGB").resize((203, 150)).save(photo)
    (node / "classify.js").write_text(SHOWN["javascript"])
    environment = {**os.environ, "SERVER": vgg, "PROTOS": str(ROOT / "docs/calling/protos")}
    run = subprocess.run(
        ["node", "classify.js", photo, photo], cwd=node, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    with Client(vgg, model="vgg_16") as client:
        best = client.classify(photo).top
    lines = [line.rsplit(" ", 1) for line in run.stdout.splitlines()]
    assert [name for name, _ in lines] == [best.name] * 2
    assert [float(score) for _, score in lines] == pytest.approx([best.score] * 2, abs=1e-4)
