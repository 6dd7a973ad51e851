"""A model server for tests, without TensorFlow: real gRPC on this machine, answers that the test decides, and faults.

from slimserve import Client
from slimserve.testing import Full, Model, Server

with Server(Model(["cat", "dog"], scores=[0.2, 0.8])) as server, Client(server.address, model="model") as client:
    assert client.classify(pixels).top.name == "dog"
    server.fail(Full(), times=1)
"""

from .faults import Call, Delay, Fault, Full, Status
from .link import Link
from .model import Model
from .server import Server

__all__ = ["Call", "Delay", "Fault", "Full", "Link", "Model", "Server", "Status"]
