"""`python -m export` as its user meets it: what it writes and says, and what it refuses."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export import cli
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.demo.random_weights import random_checkpoint
from slimserve.export.networks import NETWORKS
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import Request
from tensorflow_serving.apis import prediction_log_pb2

from tests.conftest import ROOT, run_module
from tests.support.saved_model import SavedModel
from tests.support.small_network import SMALL, small_weights

SIGNATURES = {
    "serving_default", "classify", "classify_bytes", "classify_examples",
    "segment", "segment_bytes", "logits", "labels", "network",
}  # fmt: skip


def contents(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def refused(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert result.stdout == ""


@pytest.fixture
def export(call: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    """`python -m export` with these arguments, in this process."""
    return functools.partial(call, cli.main)


@pytest.fixture(scope="module")
def record(models: Path) -> dict:
    return json.loads((models / "vgg_16" / "1" / "assets.extra" / "export.json").read_text())


def test_version_folder_holds_what_a_server_and_its_operator_need(models: Path) -> None:
    folder = models / "vgg_16" / "1"
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {
        "saved_model.pb",
        "variables/variables.index",
        "assets/labels.tsv",
        "assets.extra/tf_serving_warmup_requests",
        "assets.extra/export.json",
    } <= files


def test_every_signature_is_exported(aligned: SavedModel) -> None:
    assert set(aligned.signatures) == SIGNATURES


def test_there_is_a_warm_up_request_for_each_signature(narrow_models: Path, narrow: SavedModel) -> None:
    file = narrow_models / "vgg_16" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))
    ]
    names = [(log.predict_log or log.classify_log).request.model_spec.signature_name for log in logs[:-1]]
    assert {*names, logs[-1].classify_log.request.model_spec.signature_name} == SIGNATURES
    for log in logs[:-1]:
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        assert narrow(request.model_spec.signature_name, **inputs)


def test_record_identifies_the_checkpoint(record: dict, demo_checkpoint: Path) -> None:
    assert record["checkpoint"]["sha256"] == hashlib.sha256(demo_checkpoint.read_bytes()).hexdigest()
    assert record["checkpoint"]["bytes"] == demo_checkpoint.stat().st_size


def test_record_states_the_parity_with_slim(record: dict) -> None:
    assert record["parity"]["difference"] <= record["parity"]["tolerance"] < 2e-4
    assert record["parity"]["argmax_agreement"] == 1


def test_record_gives_the_size_of_every_other_file(models: Path, record: dict) -> None:
    folder = models / "vgg_16" / "1"
    files = {str(f.relative_to(folder)): f.stat().st_size for f in folder.rglob("*") if f.is_file()}
    assert record["files"] == {name: n for name, n in files.items() if name != "assets.extra/export.json"}
    variables = files["variables/variables.data-00000-of-00001"]
    assert record["memory_bytes"] == 250_000_000 + variables  # a portable export keeps no filters


def test_names_are_taken_from_beside_the_checkpoint(models: Path, demo_checkpoint: Path) -> None:
    labels = Path(f"{demo_checkpoint}.labels.tsv").read_text()
    assert (models / "vgg_16" / "1" / "assets" / "labels.tsv").read_text() == labels


def test_saved_model_names_no_file_of_this_machine(models: Path) -> None:
    assert str(ROOT).encode() not in (models / "vgg_16" / "1" / "saved_model.pb").read_bytes()


@pytest.fixture
def graphs_as_stored() -> Iterator[None]:
    """Without what TensorFlow makes of a graph, for seconds, before it first runs."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.mark.usefixtures("graphs_as_stored")
def test_tensorflow_loads_and_runs_every_signature(narrow_models: Path) -> None:
    loaded = tf.saved_model.load(str(narrow_models / "vgg_16" / "1"))
    images = tf.zeros([2, 33, 40, 3], tf.uint8)
    assert set(loaded.signatures) == SIGNATURES
    for name in ("serving_default", "classify", "segment", "logits"):
        takes = loaded.signatures[name].structured_input_signature[1]
        classes = {"classes": tf.range(3)} if "classes" in takes else {}
        answer = loaded.signatures[name](images=images, **classes)
        assert all(len(output) == (10 if output.shape == [10] else 2) for output in answer.values())


def test_checkpoint_of_1000_classes_gets_the_names_of_imagenet(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "small.ckpt", small_weights(classes=1000))
    exported = export_checkpoint(Request(tmp_path / "small.ckpt", tmp_path / "small", network=SMALL))
    with SavedModel(exported.path) as model:
        answer = model("classify", images=np.zeros((1, 30, 30, 3), np.uint8))
        assert answer["probabilities"].shape == (1, 1000)
        assert (
            model("labels", class_ids=np.array([1], np.int32))["class_names"][0]
            == b"goldfish, Carassius auratus"
        )
        assert model("segment", images=np.zeros((1, 30, 30, 3), np.uint8))["label_map"].dtype == np.uint16


@pytest.mark.parametrize(
    ("net", "weights"),
    [("small", small_weights), pytest.param("vgg_16", random_checkpoint, marks=pytest.mark.soak)],
)
def test_fine_tuned_checkpoint_of_three_classes_ranks_three(
    net: str,
    weights: Callable[..., dict[str, np.ndarray]],
    tmp_path: Path,
    export: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)
    checkpoint = tmp_path / "model.ckpt-300"
    write_checkpoint(checkpoint, weights(classes=3), "V2")
    labels = tmp_path / "labels.txt"
    labels.write_text("road\nhouse\ntree\n")
    arguments = ("--ckpt", checkpoint, "--net", net, "--out", tmp_path / "streets", "--labels", labels)
    result = export(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["signatures"]["classify"]["outputs"]["class_ids"] == "int32 [?, 3]"
    with SavedModel(Path(report["path"])) as model:
        names = model("classify", images=np.zeros((1, 30, 30, 3), np.uint8))["class_names"][0]
        assert set(names) == {b"road", b"house", b"tree"}


def test_next_version_comes_beside_the_one_that_is_there(
    small_network: Path, tmp_path: Path, export: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)
    (tmp_path / "7").mkdir(parents=True)
    (tmp_path / "7" / "saved_model.pb").touch()
    result = export("--ckpt", small_network, "--net", "small", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8"]
    assert f"next: slimserve up --model small={tmp_path}" in result.stdout.replace("\n", " ")


def test_options_not_made_yet_are_usage_errors(demo_checkpoint: Path) -> None:
    assert run_module("export", "--ckpt", demo_checkpoint, "--tpu").returncode == 2


def test_help_shows_how_to_export() -> None:
    result = run_module("export", "--help")
    assert result.returncode == 0
    assert "python -m export --ckpt vgg_16.ckpt" in result.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\ntwo\n", "has 2 lines but the checkpoint has"),
        (
            "".join(f"same\t{name}\n" for name in "abcdefghij"),
            "line 2 repeats the identifier 'same' of line 1",
        ),
        ("\n".join(["a", "", *"cdefghij"]) + "\n", "line 2 is empty"),
    ],
)
def test_wrong_labels_are_refused(
    demo_checkpoint: Path, tmp_path: Path, text: str, message: str, export: Callable[..., Any]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text(text)
    result = export("--ckpt", demo_checkpoint, "--out", tmp_path / "out", "--labels", labels)
    refused(result, message)
    assert contents(tmp_path) == {labels}


def test_labels_that_are_not_there_are_refused(
    demo_checkpoint: Path, tmp_path: Path, export: Callable[..., Any]
) -> None:
    result = export("--ckpt", demo_checkpoint, "--out", tmp_path / "out", "--labels", tmp_path / "no")
    refused(result, "cannot read the labels file")


def test_missing_checkpoint_is_refused_before_anything_is_made(
    tmp_path: Path, export: Callable[..., Any]
) -> None:
    refused(export("--ckpt", tmp_path / "no.ckpt", "--out", tmp_path / "out"), "no.ckpt")
    assert contents(tmp_path) == set()


def test_checkpoint_of_another_network_is_refused(tmp_path: Path, export: Callable[..., Any]) -> None:
    checkpoint = tmp_path / "resnet.ckpt"
    write_checkpoint(checkpoint, {"resnet_v1_50/conv1/weights": np.zeros((7, 7, 3, 64), np.float32)}, "V1")
    refused(export("--ckpt", checkpoint, "--out", tmp_path / "out"), "resnet_v1_50")
    assert contents(tmp_path) == {checkpoint}


def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path, export: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)
    checkpoint = tmp_path / "nan.ckpt"
    write_checkpoint(checkpoint, small_weights() | {"small/fc8/biases": np.full(3, np.nan, np.float32)})
    before = contents(tmp_path)
    result = export("--ckpt", checkpoint, "--net", "small", "--out", tmp_path / "out")
    refused(result, "holds NaN or infinite values, 3 of 3")
    assert contents(tmp_path) == before


def test_version_that_is_there_is_refused(
    models: Path, demo_checkpoint: Path, export: Callable[..., Any]
) -> None:
    before = contents(models)
    result = export("--ckpt", demo_checkpoint, "--out", models / "vgg_16", "--version", "1")
    refused(result, "is already there: leave out --version")
    assert contents(models) == before


def test_output_below_a_file_is_refused(
    demo_checkpoint: Path, tmp_path: Path, export: Callable[..., Any]
) -> None:
    (tmp_path / "file").touch()
    result = export("--ckpt", demo_checkpoint, "--out", tmp_path / "file" / "vgg_16")
    refused(result, "choose another with --out")
    assert contents(tmp_path) == {tmp_path / "file"}


def command(checkpoint: Path, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "tests.support.small_network",
        "--ckpt", str(checkpoint), "--net", "small", "--out", str(out)
    ]  # fmt: skip


def test_full_disk_leaves_nothing(small_network: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        command(small_network, tmp_path / "models" / "small"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20,) * 2),
        check=False,
    )
    refused(result, "cannot write to")
    assert contents(tmp_path) == set()


@pytest.fixture
def running_export(small_network: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """An export into `tmp_path` that has written some of its variables."""
    started = command(small_network, tmp_path / "small")
    process = subprocess.Popen(started, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any((tmp_path / "small").glob("*/variables/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_interrupted_export_leaves_nothing(
    running_export: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    running_export.send_signal(number)
    _, errors = running_export.communicate(timeout=60)
    assert (running_export.returncode, errors) == (130, "stopped: nothing was published\n")
    assert contents(tmp_path) == set()


def test_user_without_rights_is_told(tmp_path: Path) -> None:
    from slimserve.export.errors import ExportError
    from slimserve.export.savedmodel.publication import draft_version

    tmp_path.chmod(0o555)
    child = os.fork()
    if child == 0:  # another user, for the rest of this process: it must not come back to pytest
        outcome = 3
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            with draft_version(tmp_path / "models", None, 0):
                outcome = 1
        except ExportError as error:
            outcome = 0 if "choose another with --out" in str(error) else 2
        finally:
            os._exit(outcome)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
