"""Serve with the embedded engine in this process until Ctrl-C or SIGTERM."""

import argparse
import logging
import os
import signal
import sys
import time
from typing import NoReturn

from ..engine.server import Engine, Options
from ..server import tls
from ..server.protocol import ModelServerConfig
from . import ready

_POLL_SECONDS = 0.2


def serve(config: ModelServerConfig, args: argparse.Namespace) -> NoReturn:
    """Print the ready line once every model answers; exit with 0 when told to stop.

    Raises:
        ServingConfigError: the port is taken, or a model cannot be served.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # gRPC prints a traceback for each request whose bytes are no message, and answers INTERNAL: the caller's mistake.
    logging.getLogger("grpc._common").setLevel(logging.CRITICAL)
    logging.warning("embedded engine: for laptops, tests and CI, not for production (use TensorFlow Serving)")
    engine = Engine(
        Options(
            host=args.host,
            port=args.port,
            tensor_content=bool(args.tensor_content),
            poll_seconds=args.file_system_poll_seconds,
            models_root=args.models_root,
            threads=args.threads,
            max_requests=args.max_requests,
            max_queue=args.max_queue,
            tls=tls.read(args.ssl_config) if args.ssl_config else None,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        versions = engine.start(config)
        ready.announce("embedded", engine.address, versions, args.json)
        while True:
            # Not pause(): a signal that arrives just before that call blocks would go unnoticed.
            time.sleep(_POLL_SECONDS)
            engine.tend()
    except KeyboardInterrupt:
        logging.info("stopping")
        engine.stop()
        # What outlasted the grace still runs inside TensorFlow; taking the interpreter down under it aborts.
        os._exit(0)
