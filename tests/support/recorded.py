"""What TensorFlow Serving 2.20.0 answered, and the models that it served then: tests/contract/recorded."""

import json
from base64 import b64decode
from pathlib import Path
from typing import NamedTuple

RECORDED = Path(__file__).parents[1] / "contract" / "recorded"


class Case(NamedTuple):
    """One recorded exchange with TensorFlow Serving."""

    name: str
    rpc: str
    request: bytes
    code: str
    message: str
    response: bytes


def recorded_cases(file: str = "cases.jsonl") -> list[Case]:
    """The exchanges of one file, `cases.jsonl` or `cases_tensor_content.jsonl`."""
    rows = map(json.loads, (RECORDED / file).read_text().splitlines())
    return [
        Case(**{**row, "request": b64decode(row["request"]), "response": b64decode(row["response"])})
        for row in rows
    ]
