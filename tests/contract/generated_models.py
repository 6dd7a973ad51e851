"""SavedModels drawn from a seed, and requests for them: `python -m tests.contract.generated_models FOLDER COUNT`.

A model has one to four signatures. Each is of one kind in `KINDS`, over a drawn data type and rank, some with
variables, tables of words, defaults, or failures of their own. Numbers are small and whole, so that sums are exact
in every order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
Arrays = dict[str, np.ndarray]

_FLOATS = [tf.float16, tf.bfloat16, tf.float32, tf.float64]
_INTEGERS = [tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64]
_COMPLEX = [tf.complex64, tf.complex128]
_WORDS = ["", "grass", "sky", "näive", "a b", "x" * 200, "0", "-3.5", "\0"]


@dataclass
class Signature:
    """One signature and how to call it.

    Attributes:
        inputs: tensors by alias.
        outputs: tensors by alias.
        given: what a good request holds, or one that fails inside the graph.
        defaults: what stands for an input that is left out.
    """

    inputs: dict[str, tf.Tensor]
    outputs: dict[str, tf.Tensor]
    given: Arrays
    defaults: Arrays = field(default_factory=dict)


class Draw:
    """What is drawn: types, shapes, values."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def one(self, choices: Iterable[Any]) -> Any:
        choices = list(choices)
        return choices[self.random.integers(len(choices))]

    def shape(self, rank: int, least: int = 0) -> list[int]:
        """Sides of 1 to 4; now and then one of 0, unless `least` forbids it."""
        sides = self.random.integers(1, 5, rank).tolist()
        if rank and not least and self.random.random() < 0.1:
            sides[self.random.integers(rank)] = 0
        return sides

    def values(self, dtype: tf.DType, shape: list[int]) -> np.ndarray:
        if dtype == tf.string:
            words = [word.encode() for word in self.random.choice(_WORDS, int(np.prod(shape)))]
            return np.array(words, object).reshape(shape)
        low = -5 if dtype in (*_FLOATS, *_INTEGERS[:4]) else 0
        whole = self.random.integers(low, 2 if dtype == tf.bool else 6, shape)
        if dtype.is_complex:
            return (whole + 1j * self.random.integers(-5, 6, shape)).astype(dtype.as_numpy_dtype)
        return np.asarray(whole).astype(dtype.as_numpy_dtype)

    def placeholder(self, dtype: tf.DType, shape: list[int]) -> tf.Tensor:
        """One whose static shape says some of the sides, or not even the rank."""
        static = None if self.random.random() < 0.2 else [self.one([None, side]) for side in shape]
        return v1.placeholder(dtype, static)


def _identity(draw: Draw) -> Signature:
    dtype = draw.one([*_FLOATS, *_INTEGERS, *_COMPLEX, tf.bool, tf.string])
    shape = draw.shape(draw.one(range(6)))
    x = draw.placeholder(dtype, shape)
    given = draw.values(dtype, shape)
    if dtype in _FLOATS and given.size:
        given.reshape(-1)[0] = draw.one([np.nan, np.inf, -np.inf, -0.0, dtype.min])
    return Signature({"x": x}, {"same": tf.identity(x), "rank": tf.rank(x)}, {"x": given})


def _affine(draw: Draw) -> Signature:
    dtype, shape = draw.one([*_FLOATS, tf.int32, tf.int64]), draw.shape(2)
    x = draw.placeholder(dtype, shape)
    scale = v1.get_variable(
        f"scale_{len(v1.global_variables())}", initializer=tf.constant(2, dtype), use_resource=True
    )
    shift = v1.placeholder_with_default(tf.constant(1, dtype), [])
    inputs = {"x": x, "shift": shift}
    given = {"x": draw.values(dtype, shape), "shift": draw.values(dtype, [])}
    return Signature(inputs, {"y": x * scale + shift}, given, {"shift": draw.values(dtype, [])})


def _reduced(draw: Draw) -> Signature:
    dtype, shape = draw.one([*_FLOATS, *_INTEGERS]), draw.shape(draw.one([1, 2, 3, 4]), least=1)
    x = draw.placeholder(dtype, shape)
    axis = int(draw.random.integers(len(shape)))
    outputs = {"most": tf.reduce_max(x, axis), "least": tf.reduce_min(x, axis, keepdims=True)}
    return Signature({"x": x}, outputs, {"x": draw.values(dtype, shape)})


def _moved(draw: Draw) -> Signature:
    dtype, shape = draw.one([*_FLOATS, *_INTEGERS, *_COMPLEX, tf.bool, tf.string]), draw.shape(3)
    x = v1.placeholder(dtype, [None, None, None])
    outputs = {
        "turned": tf.transpose(x, draw.random.permutation(3)),
        "twice": tf.concat([x, x], int(draw.random.integers(3))),
        "flat": tf.reshape(x, [-1]),
    }
    return Signature({"x": x}, outputs, {"x": draw.values(dtype, shape)})


def _cast(draw: Draw) -> Signature:
    source, target = draw.one([*_FLOATS, *_INTEGERS, tf.bool]), draw.one([*_FLOATS, *_INTEGERS, tf.bool])
    shape = draw.shape(draw.one(range(4)))
    x = draw.placeholder(source, shape)
    # Whole numbers that every type holds.
    return Signature({"x": x}, {"y": tf.cast(x, target)}, {"x": np.abs(draw.values(source, shape))})


def _gathered(draw: Draw) -> Signature:
    dtype, shape = draw.one([*_FLOATS, *_INTEGERS, tf.string]), draw.shape(2, least=1)
    rows, which = draw.placeholder(dtype, shape), v1.placeholder(draw.one([tf.int32, tf.int64]), [None])
    indices = draw.values(which.dtype, [3]) % (shape[0] + 1)  # one too many, at times
    given = {"rows": draw.values(dtype, shape), "which": indices.astype(which.dtype.as_numpy_dtype)}
    return Signature({"rows": rows, "which": which}, {"taken": tf.gather(rows, which)}, given)


def _ranked(draw: Draw) -> Signature:
    dtype, shape = draw.one([*_FLOATS, tf.int32]), draw.shape(2, least=1)
    x, k = draw.placeholder(dtype, shape), v1.placeholder(tf.int32, [])
    values, indices = tf.math.top_k(x, k)
    given = {"x": draw.values(dtype, shape), "k": np.int32(draw.random.integers(5))}
    defaults = {"k": np.array(1, np.int32)}
    return Signature({"x": x, "k": k}, {"values": values, "indices": indices}, given, defaults)


def _product(draw: Draw) -> Signature:
    dtype, (rows, inner, columns) = draw.one([tf.float32, tf.float64, tf.int32]), draw.shape(3)
    a, b = draw.placeholder(dtype, [rows, inner]), draw.placeholder(dtype, [inner, columns])
    given = {"a": draw.values(dtype, [rows, inner]), "b": draw.values(dtype, [inner, columns])}
    return Signature({"a": a, "b": b}, {"ab": tf.matmul(a, b)}, given)


def _words(draw: Draw) -> Signature:
    shape = draw.shape(draw.one(range(3)))
    x = draw.placeholder(tf.string, shape)
    outputs = {
        "upper": tf.strings.upper(x, encoding="utf-8"),
        "length": tf.strings.length(x),
        "joined": tf.strings.reduce_join(x, separator=","),
        "replaced": tf.strings.regex_replace(x, "[aeiou]", "-"),
    }
    return Signature({"x": x}, outputs, {"x": draw.values(tf.string, shape)})


def _numbered(draw: Draw) -> Signature:
    """Some of the words are no numbers: INVALID_ARGUMENT."""
    x = draw.placeholder(tf.string, [2])
    given = np.array([draw.one([b"12", b"-3.5", b"grass", b""]) for _ in range(2)], object)
    return Signature({"x": x}, {"y": tf.strings.to_number(x)}, {"x": given})


def _looked_up(draw: Draw) -> Signature:
    rows = tf.lookup.KeyValueTensorInitializer(_WORDS[1:4], tf.constant([1, 2, 3], tf.int64))
    table = tf.lookup.StaticHashTable(rows, -1)
    shape = draw.shape(draw.one(range(3)))
    x = draw.placeholder(tf.string, shape)
    return Signature({"x": x}, {"number": table.lookup(x)}, {"x": draw.values(tf.string, shape)})


def _asserted(draw: Draw) -> Signature:
    dtype, shape = draw.one([*_FLOATS, tf.int32, tf.int64]), draw.shape(2)
    x = draw.placeholder(dtype, shape)
    with tf.control_dependencies([v1.Assert(tf.reduce_all(x >= tf.cast(-3, dtype)), ["below -3:", x])]):
        return Signature({"x": x}, {"y": tf.identity(x)}, {"x": draw.values(dtype, shape)})


def _divided(draw: Draw) -> Signature:
    dtype, shape = draw.one(_INTEGERS), draw.shape(1)
    a, b = draw.placeholder(dtype, shape), draw.placeholder(dtype, shape)
    given = {"a": draw.values(dtype, shape), "b": draw.values(dtype, shape)}
    return Signature({"a": a, "b": b}, {"y": tf.raw_ops.Div(x=a, y=b)}, given)


def _read(draw: Draw) -> Signature:
    """NOT_FOUND."""
    x = draw.placeholder(tf.string, [])
    return Signature({"path": x}, {"bytes": tf.io.read_file(x)}, {"path": np.array(b"no/such/file", object)})


def _unset(draw: Draw) -> Signature:
    """FAILED_PRECONDITION: a variable that no one gave a value."""
    x = draw.placeholder(tf.float32, [])
    handle = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="unset")
    y = x + tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)
    return Signature({"x": x}, {"y": y}, {"x": np.float32(1)})


def _in_between(draw: Draw) -> Signature:
    """Fed where the graph computes, fetched where it is fed, and one output under two names."""
    x = tf.identity(draw.placeholder(tf.int32, [2]))
    y = x + 1
    return Signature({"x": x}, {"y": y, "again": y}, {"x": draw.values(tf.int32, [2])})


KINDS: list[Callable[[Draw], Signature]] = [
    _identity,
    _affine,
    _reduced,
    _moved,
    _cast,
    _gathered,
    _ranked,
    _product,
    _words,
    _numbered,
    _looked_up,
    _asserted,
    _divided,
    _read,
    _unset,
    _in_between,
]


def write_model(folder: Path, seed: int) -> dict[str, Signature]:
    """Write `folder` as version 1 of the model of that seed, if it is not there; what its signatures are."""
    draw = Draw(seed)
    with tf.Graph().as_default(), v1.Session() as session:
        kinds = [KINDS[seed % len(KINDS)], *(draw.one(KINDS) for _ in range(draw.one(range(4))))]
        signatures = {f"{kind.__name__[1:]}_{n}": kind(draw) for n, kind in enumerate(kinds)}
        if (folder / "1").is_dir():
            return signatures
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder / "1"))
        stated = {name: _stated(signature) for name, signature in signatures.items()}
        builder.add_meta_graph_and_variables(
            session, ["serve"], stated, main_op=v1.tables_initializer(), strip_default_attrs=True
        )
        builder.save()
    return signatures


def _stated(signature: Signature) -> Any:
    infos = v1.saved_model.build_tensor_info
    definition = v1.saved_model.build_signature_def(
        {alias: infos(tensor) for alias, tensor in signature.inputs.items()},
        {alias: infos(tensor) for alias, tensor in signature.outputs.items()},
        "tensorflow/serving/predict",
    )
    for alias, value in signature.defaults.items():
        definition.defaults[alias].CopyFrom(tf.make_tensor_proto(value))
    return definition


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        write_model(Path(sys.argv[1]) / f"generated_{number}", number)
