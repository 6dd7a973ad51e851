"""A stand-in for tensorflow_model_server, to be put on PATH."""

import sys

from tests.conftest import ROOT

# A real server process behind the flags that TensorFlow Serving has.
MODEL_SERVER = f"""#!{sys.executable}
import os, sys
flags = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
if "FAIL" in os.environ:
    sys.exit("F tensorflow_serving/model_servers/main.cc: Failed to start server")
arguments = ["--models-config", flags["model_config_file"], "--port", flags["port"]]
arguments += ["--file-system-poll-seconds", flags["file_system_poll_wait_seconds"]]
if flags["enable_serialization_as_tensor_content"] == "true":
    arguments.append("--tensor-content")
if "ssl_config_file" in flags:
    arguments += ["--ssl-config", flags["ssl_config_file"]]
os.environ["PYTHONPATH"] = {str(ROOT)!r}
os.execv(sys.executable, [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", *arguments])
"""
