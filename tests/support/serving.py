"""Serving processes started by their command line."""

import json
import os
import signal
import subprocess
import sys
import tempfile

import grpc

from tests.conftest import ROOT

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Serving:
    """`python -m serving_config up ...` as a child process."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "serving_config", "up", *map(str, arguments), "--json"]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by close()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):
            line = self.process.stdout.readline()
        if not line:
            self.process.wait(10)
        self.ready = json.loads(line) if line else None

    @property
    def address(self) -> str:
        assert self.ready is not None, self.stderr()
        return self.ready["address"]

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address, options=UNLIMITED)

    def stderr(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            # Not kill: only on Linux does a launcher that is killed take its server with it.
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
