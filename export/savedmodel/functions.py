"""Loops and branches of a graph that stay functions."""

from __future__ import annotations

from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.types_pb2 import DT_RESOURCE

_IS_INLINED = "_lower_using_switch_merge"
_IS_LEFT_ALONE = "_tf_data_function"


def keep_functions(graph: GraphDef) -> None:
    """Keep what judges, decodes and prepares images and makes label maps of scores out of the optimizer's way.

    A server rewrites the graph of every signature before it is ready (Grappler). That takes time for every node, and
    most nodes are in loops and branches, which TensorFlow inlines first. Here it inlines only those that read
    variables: the network. The others run as the functions that they are. TensorFlow rewrites no function that is said
    to belong to a data set (tensorflow/core/grappler/optimizers/meta_optimizer.cc); one that did would only take
    longer.

    For processors alone: on a GPU, functions copy between its memory and the host's.
    """
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            if _IS_INLINED in node.attr:
                captured = node.attr["Tin" if "Tin" in node.attr else "T"].list.type
                if DT_RESOURCE not in captured:
                    del node.attr[_IS_INLINED]
    for function in graph.library.function:
        function.attr[_IS_LEFT_ALONE].b = True
