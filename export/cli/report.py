"""What the exporter shows of a finished export: tables or JSON."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from rich import box
from rich.console import Console
from rich.table import Table
from tensorflow.core.protobuf import meta_graph_pb2

from ..pipeline import Export
from ..verify.labels import Labels
from .command_line import SERVE_COMMAND


def report(result: Export) -> dict[str, Any]:
    """The report for scripts."""
    return {
        "path": str(result.path),
        "version": int(result.path.name),
        "bytes": result.bytes,
        "seconds": {step: round(seconds, 3) for step, seconds in result.seconds.items()},
        "signatures": {
            name: {
                "method": signature.method_name,
                "inputs": {key: _text(info) for key, info in signature.inputs.items()},
                "outputs": {key: _text(info) for key, info in signature.outputs.items()},
            }
            for name, signature in sorted(result.signatures.items())
        },
        **result.record,
    }


def print_report(result: Export) -> None:
    """The report for people, on stdout; ends with the next command to type."""
    console = Console(soft_wrap=True)
    console.print(_signature_table(result.signatures))
    parity, record = result.parity, result.record
    checkpoint, options = record["checkpoint"], record["options"]
    seconds = ", ".join(f"{step} {taken:.1f}" for step, taken in result.seconds.items())
    facts = {
        "checkpoint": f"{checkpoint['file']} ({checkpoint['format']}, {checkpoint['bytes'] / 1e6:.0f} MB), "
        f"{'moving averages' if checkpoint['weights'] == 'averages' else 'raw weights'}",
        "classes": f"{record['classes']}, named by {record['labels']}",
        "preprocessing": f"{options['preprocessing']}, classifies crops of {options['crop']}x{options['crop']}",
        "label maps": record["label_maps"],
        "compared with": parity.reference,
        "difference": f"{parity.difference:.1e} of the largest logit (allowed {parity.tolerance:.0e}), same best class "
        f"in {parity.argmax_agreement:.2%} of {parity.cells} cells and crops; {labels_compared(parity.labels)}",
        "signatures": f"each was compared: {', '.join(parity.signatures)}",
        **({"calibrated on": _calibration(record["calibration"])} if "calibration" in record else {}),
        **({"against float32": result.agreement.text} if result.agreement else {}),
        **(
            {"on your images": result.photos.agreement.text + _left_out(record["verified_on"])}
            if result.photos
            else {}
        ),
        "runs on": record["runs_on"],
        "seconds": f"{sum(result.seconds.values()):.1f} ({seconds})",
        "written": f"{result.path} ({result.bytes / 1e6:.0f} MB)",
    }
    for name, text in [*facts.items(), *(("note", note) for note in record["notes"])]:
        console.print(f"{name:>15}  {text}", highlight=False, markup=False)
    model = result.path.parent
    console.print(
        f"\nnext: {SERVE_COMMAND} --model {record['network']}={model}",
        highlight=False,
        markup=False,
    )


def _calibration(calibration: dict[str, Any]) -> str:
    return f"{calibration['images']} images{_left_out(calibration)}"


def _left_out(of_folder: dict[str, Any]) -> str:
    """How many files of a folder of images are none, in words."""
    left_out = of_folder["files_left_out"]
    return f"; {left_out} files of the folder are no images, and were left out" if left_out else ""


def labels_compared(labels: Labels) -> str:
    """How the pixels of label maps compare, in words."""
    if not labels.pixels:
        return "no label map could be compared"
    if not labels.pixels_decided:
        return f"no label could be compared, rounding may decide each of {labels.pixels} pixels"
    return (
        f"same label in {labels.pixels_same} of {labels.pixels_decided} pixels, "
        f"{labels.pixels - labels.pixels_decided} ties left out"
    )


def _signature_table(signatures: dict[str, meta_graph_pb2.SignatureDef]) -> Table:
    table = Table("signature", "inputs", "outputs", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in sorted(signatures, key=lambda name: (name != "serving_default", name)):
        signature = signatures[name]
        table.add_row(name, _lines(signature.inputs), _lines(signature.outputs))
    return table


def _lines(tensors: Any) -> str:
    return "\n".join(f"{name} {_text(info)}".replace("[", "\\[") for name, info in sorted(tensors.items()))


def _text(info: meta_graph_pb2.TensorInfo) -> str:
    """Such as `float32 [?, 5]`."""
    sizes = ", ".join("?" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim)
    return f"{tf.as_dtype(info.dtype).name} [{sizes}]"
