"""An application: makes every call of the client and prints what came, for any environment to run.

python every_call.py ADDRESS IMAGE.png
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from slimserve import AsyncClient, Client, InvalidInput, ModelNotFound, SignatureNotFound

IMAGE = Path(sys.argv[2])
PIXELS = np.arange(40 * 50 * 3, dtype=np.uint32).reshape(40, 50, 3).astype(np.uint8)
ERRORS = (InvalidInput, ModelNotFound, SignatureNotFound)


def digest(array):
    """Type, shape and content; of floats, whose last bits may differ from call to call, no content."""
    content = {
        "f": lambda: "",
        "O": lambda: list(map(str, array.ravel())),
    }.get(array.dtype.kind, lambda: hashlib.sha256(np.ascontiguousarray(array)).hexdigest())
    return [str(array.dtype), list(array.shape), content()]


def of_classification(answer):
    return [answer.top.name, [prediction.id for prediction in answer.predictions], answer.model_version]


def of_segmentation(answer):
    areas = [area.name for area in answer.areas()]
    return [digest(answer.label_map), areas, answer.model_version]


def of_arrays(answer):
    return {name: digest(array) for name, array in sorted(answer.items())}


def of_metadata(answer):
    return {name: [sorted(s.inputs), sorted(s.outputs)] for name, s in sorted(answer.signatures.items())}


def calls(client):
    """What is called, and how its answer is shown."""
    one = PIXELS[None]
    return {
        "ready": (lambda: client.wait_until_ready(timeout=30), str),
        "status": (client.status, lambda versions: [[v.version, v.state] for v in versions]),
        "metadata": (client.metadata, of_metadata),
        "receptive field": (client.receptive_field, int),
        "classify a file": (lambda: client.classify(IMAGE), of_classification),
        "classify bytes": (lambda: client.classify(IMAGE.read_bytes()), of_classification),
        "classify two": (lambda: client.classify([PIXELS, IMAGE]), lambda a: [*map(of_classification, a)]),
        "segment a file": (lambda: client.segment(IMAGE), of_segmentation),
        "segment pixels": (lambda: client.segment(PIXELS), of_segmentation),
        "segment a view": (lambda: client.segment(PIXELS[::-1, ::2]), of_segmentation),
        "analyze": (lambda: client.analyze(PIXELS), lambda both: of_segmentation(both.segmentation)),
        "any signature": (lambda: client.predict({"images": one}, signature="logits"), of_arrays),
        "strings": (lambda: client.predict({"class_ids": np.int32([0, 1])}, signature="labels"), of_arrays),
        "a wrong image": (lambda: client.classify(b"no image"), str),
        "a wrong type": (lambda: client.predict({"images": one.astype(float)}, signature="logits"), str),
        "a wrong signature": (lambda: client.predict({"images": one}, signature="nothing"), str),
    }


def synchronously(address):
    with Client(address, model="small") as client:
        for name, (call, shown) in calls(client).items():
            try:
                yield name, shown(call())
            except ERRORS as error:
                yield name, f"{type(error).__name__}: {error}"
    try:
        with Client(address, model="absent") as client:
            client.status()
    except ModelNotFound as error:
        yield "a wrong model", str(error)


async def asynchronously(address):
    answers = {}
    async with AsyncClient(address, model="small") as client:
        for name, (call, shown) in calls(client).items():
            try:
                answers[name] = shown(await call())
            except ERRORS as error:
                answers[name] = f"{type(error).__name__}: {error}"
    return answers


if __name__ == "__main__":
    both = {
        "sync": dict(synchronously(sys.argv[1])),
        "async": asyncio.run(asynchronously(sys.argv[1])),
    }
    print(json.dumps(both))
