"""Loops and branches that read no variable stay functions, and answer as they do inlined."""

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.savedmodel.functions import keep_functions
from tensorflow.core.framework.graph_pb2 import GraphDef

IMAGES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture(scope="module")
def graph() -> GraphDef:
    """A loop over a variable with a branch without one, and behind it a loop without one."""
    with tf.Graph().as_default() as built:
        weights = tf.compat.v1.get_variable("weights", [4, 4], initializer=tf.ones_initializer())
        images = tf.compat.v1.placeholder(tf.float32, [None, 3, 4], "images")

        def layer(index: tf.Tensor, net: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            net = tf.cond(tf.reduce_sum(net) > 100, lambda: net / 2, lambda: net + 1)
            return index + 1, tf.linalg.matmul(net, tf.broadcast_to(weights, [tf.shape(net)[0], 4, 4]))

        _, net = tf.while_loop(lambda index, _: index < 3, layer, (tf.constant(0), images), name="network")
        _, words = tf.while_loop(
            lambda _, words: tf.strings.length(words) < 30,
            lambda count, words: (count + 1, tf.strings.join([words, tf.strings.as_string(count)])),
            (tf.cast(tf.reduce_max(net), tf.int32), tf.constant("scores ")),
            name="words",
        )
        tf.identity(words, "answer")
        tf.compat.v1.global_variables_initializer()
        kept: GraphDef = built.as_graph_def()
    return kept


def kept_functions(graph: GraphDef) -> GraphDef:
    kept = GraphDef()
    kept.CopyFrom(graph)
    keep_functions(kept)
    return kept


def answer(graph: GraphDef) -> bytes:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        session.run("init")
        words: bytes = session.run("answer:0", {"images:0": IMAGES})
        return words


def inlined(graph: GraphDef) -> set[str]:
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.name for node in nodes if "_lower_using_switch_merge" in node.attr}


def test_only_what_reads_variables_is_inlined(graph: GraphDef) -> None:
    assert inlined(graph) == {"network", "words", "cond"}
    assert inlined(kept_functions(graph)) == {"network"}


def test_no_function_is_rewritten(graph: GraphDef) -> None:
    functions = kept_functions(graph).library.function
    assert functions
    assert all(function.attr["_tf_data_function"].b for function in functions)


def test_the_answer_is_the_same(graph: GraphDef) -> None:
    net = IMAGES
    for _ in range(3):
        net = (net / 2 if net.sum() > 100 else net + 1).sum(-1, keepdims=True).repeat(4, -1)
    expected = "scores "
    count = int(net.max())
    while len(expected) < 30:
        expected, count = expected + str(count), count + 1
    assert answer(graph) == answer(kept_functions(graph)) == expected.encode()
