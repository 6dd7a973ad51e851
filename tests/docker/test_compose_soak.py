"""The rendered compose file in a real Docker engine: what the container may, how it restarts, what callers see."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from slimserve import TLS, ServingError
from slimserve.serving_config.cli import main
from slimserve.serving_config.server import ports

from tests.docker import image
from tests.docker.conftest import Deployment
from tests.docker.engine import Docker, FailedError
from tests.support.recorded import RECORDED
from tests.support.sources import ROOT
from tests.unit.serving_config.engine_calls import connect, predict_request

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
Deployed = Callable[..., Deployment]


def test_the_container_is_healthy_and_may_no_more_than_it_needs(deployed: Deployed) -> None:
    deployment = deployed("--memory", "3Gi", "--cpu", "1")
    deployment.up()
    assert deployment.facts("{{.State.Health.Status}}") == "healthy"
    assert deployment.answer() == deployment.answer("canary")
    assert deployment.inside("id -u; id -g") == "65532\n65532"
    with pytest.raises(FailedError) as refused:
        deployment.inside("touch /config/file")
    assert "Read-only file system" in refused.value.said
    assert deployment.inside("touch /tmp/file && echo written") == "written"
    with pytest.raises(FailedError) as refused:
        deployment.inside("touch /models/affine/file")
    assert "Read-only file system" in refused.value.said
    status = dict(line.split(":\t", 1) for line in deployment.inside("cat /proc/self/status").splitlines())
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert deployment.facts("{{.HostConfig.NanoCpus}}") == "1000000000"


def test_the_shipped_file_runs_as_it_is(docker: Docker, server_image: str, tmp_path: Path) -> None:
    shutil.copytree(RECORDED / "models" / "affine", tmp_path / "models" / "vgg_16")
    folder = tmp_path / "serving_config"
    folder.mkdir()
    for name in ("docker-compose.yml", "models.config", "monitoring.config"):
        shutil.copy(ROOT / "serving_config" / name, folder)
    (folder / "override.yml").write_text(f"services:\n  serving:\n    image: {server_image}\n")
    used = {name: str(ports.free("127.0.0.1")) for name in ("GRPC_PORT", "REST_PORT")}
    file, override = folder / "docker-compose.yml", ("--file", str(folder / "override.yml"))
    try:
        docker.compose(file, *override, "up", "--detach", "--wait", **used)
        caller = connect(f"127.0.0.1:{used['GRPC_PORT']}")
        with caller.channel:
            assert caller.states("vgg_16") == {1: "AVAILABLE"}
    finally:
        docker.compose(file, *override, "down", "--timeout", "1", **used)


def test_what_takes_more_memory_than_the_limit_ends_and_the_server_goes_on(deployed: Deployed) -> None:
    deployment = deployed("--memory", "3Gi")
    deployment.up()
    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert str(3 * 2**30) in deployment.inside(f"cat {files} 2>/dev/null || true").split()
    # tail keeps a line until its end comes.
    with pytest.raises(FailedError) as ended:
        deployment.inside("head -c 4G /dev/zero | tail")
    assert ended.value.code == 128 + signal.SIGKILL
    deployment.wait_for_answer()


def test_a_server_that_ends_is_started_again_with_the_labels_that_were_moved(deployed: Deployed) -> None:
    deployment = deployed()
    deployment.up()
    first = deployment.answer()
    deployment.roll_out("canary", "2")
    assert (deployment.answer(), deployment.answer("canary") == first) == (first, False)
    deployment.roll_out("promote", "2")
    second = deployment.answer()
    assert (second == first, deployment.answer("previous")) == (False, first)

    # Not `docker kill`, after which an engine leaves the container ended.
    os.kill(int(deployment.facts("{{.State.Pid}}")), signal.SIGKILL)
    assert deployment.wait_for_answer() == second
    assert deployment.facts("{{.RestartCount}}") == "1"
    assert deployment.answer("previous") == first

    deployment.roll_out("rollback")
    deployment.compose("stop")
    deployment.compose("start")
    assert deployment.wait_for_answer() == first


def test_a_stop_ends_the_calls_in_flight_at_once(deployed: Deployed) -> None:
    deployment = deployed()
    deployment.up()
    caller = connect(deployment.address)
    with caller.channel:
        caller.predict("slow", 1, key="steps")
        pending = caller.prediction.Predict.future(predict_request("slow", 2**31 - 1, "steps"), timeout=100)
        time.sleep(2)
        assert not pending.done()
        start = time.monotonic()
        deployment.compose("stop")
        took = time.monotonic() - start
        assert pending.code() is grpc.StatusCode.UNAVAILABLE
    assert deployment.facts("{{.State.ExitCode}}") == str(128 + signal.SIGTERM)
    assert took < 10  # stop_grace_period, after which it would have been SIGKILL


def test_tls_answers_only_callers_that_show_a_certificate(deployed: Deployed) -> None:
    assert main(["certificates"]) == 0
    files = ["--tls-key", "certificates/server.key", "--tls-cert", "certificates/server.pem"]
    deployment = deployed(*files, "--client-ca", "certificates/ca.pem")
    deployment.up()
    tls = TLS(ca="certificates/ca.pem", certificate="certificates/caller.pem", key="certificates/caller.key")
    assert deployment.answer(tls=tls)
    for refused in (TLS(ca="certificates/ca.pem"), None):
        with pytest.raises(ServingError):
            deployment.answer(tls=refused)
    caller = (
        "--tls-ca certificates/ca.pem --tls-cert certificates/caller.pem --tls-key certificates/caller.key"
    )
    deployment.roll_out("canary", "2", *caller.split())
    assert deployment.answer("canary", tls=tls) != deployment.answer(tls=tls)


def test_prometheus_of_the_profile_reads_the_server_and_knows_the_rules(
    deployed: Deployed, docker: Docker
) -> None:
    deployment = deployed("--monitoring")
    name = "prom/prometheus:v2.53.0"
    arguments = ("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/prometheus")
    if not image.of_program(docker, name, "prometheus", *arguments):
        pytest.skip("there is no prometheus here: apt-get install prometheus")
    deployment.compose("--profile", "monitoring", "up", "--detach", "--wait", "serving", "prometheus")

    def ask(page: str) -> dict:
        url = f"http://127.0.0.1:{deployment.ports['PROMETHEUS_PORT']}/api/v1/{page}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    end = time.monotonic() + 60
    while not (found := ask("query?query=up")["result"]) or found[0]["value"][1] != "1":
        assert time.monotonic() < end, ask("targets")
        time.sleep(1)
    assert found[0]["metric"]["instance"] == "serving:8501"
    rules = {rule["name"] for group in ask("rules")["groups"] for rule in group["rules"]}
    assert {"ServingFull", "ServingNoneReady"} <= rules
