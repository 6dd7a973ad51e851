"""tensorflow_model_server's place in an image of the tests: its flags, and two of its REST pages, before the engine.

As the real one it has no handler for SIGTERM, and REST is never encrypted.
"""

import json
import logging
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from serving_config.engine.server import Engine, Options
from serving_config.server import models_config, tls


def main() -> None:
    """Serve until a signal ends the process."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    flags = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
    ssl_config = flags.get("ssl_config_file")
    engine = Engine(
        Options(
            host="0.0.0.0",
            port=int(flags["port"]),
            tensor_content=flags.get("enable_serialization_as_tensor_content") == "true",
            threads=int(flags["tensorflow_intra_op_parallelism"]),
            max_requests=int(flags["grpc_max_threads"]) - 1,
            max_queue=0,
            tls=tls.read(Path(ssl_config)) if ssl_config else None,
        )
    )
    pages = _pages(engine, int(flags["rest_api_port"]))
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    engine.start(models_config.read(Path(flags["model_config_file"])))
    logging.info("running")
    while True:
        time.sleep(0.2)
        engine.tend()


def _pages(engine: Engine, port: int) -> ThreadingHTTPServer:
    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            available = engine._manager.available()
            name = self.path.rpartition("/")[2]
            if self.path == "/monitoring/prometheus/metrics":
                text = "".join(_count(name, len(versions)) for name, versions in available.items())
            else:
                versions = [{"version": str(v), "state": "AVAILABLE"} for v in available.get(name, [])]
                text = json.dumps({"model_version_status": versions})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

    return ThreadingHTTPServer(("0.0.0.0", port), Pages)


def _count(name: str, value: int) -> str:
    return f':tensorflow:serving:request_count{{model_name="{name}",status="OK"}} {value}\n'


if __name__ == "__main__":
    main()
