"""A server process of its own that answers Predict with its process id: `python -m tests.unit.client.replica PORT`."""

import os
import sys
from concurrent import futures

import grpc
from slimserve.wire.protocol import PredictResponse, TensorProto

PROCESS = TensorProto(dtype=9, tensor_shape={}, tensor_content=os.getpid().to_bytes(8, "little"))
RESPONSE = PredictResponse(model_spec={"version": {"value": 1}}, outputs={"process": PROCESS})


class Replica(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: RESPONSE.SerializeToString())


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Replica(),))
    port = server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()
