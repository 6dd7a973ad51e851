"""The public face: what is exported, and what an import costs."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import slimserve

ROOT = Path(__file__).parents[3]


def test_every_public_name_is_listed_and_no_other() -> None:
    public = {
        name
        for name in dir(slimserve)
        if not name.startswith("_") and not inspect.ismodule(getattr(slimserve, name))
    }
    assert public == set(slimserve.__all__)
    assert slimserve.__all__ == sorted(slimserve.__all__, key=lambda name: (name != name.upper(), name))


def test_names_that_many_programs_never_use_are_imported_when_asked_for() -> None:
    script = """
import sys, slimserve
later = {"faces.aio", "faces.options", "wire.described", "channels.connections.tls"}
assert not {f"slimserve.{module}" for module in later} & {*sys.modules}
assert not hasattr(slimserve, "Cleint")
found = {}
exec("from slimserve import *", found)
assert {*slimserve.__all__} <= {*found}
assert found["AsyncClient"] is slimserve.AsyncClient is vars(slimserve)["AsyncClient"]
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_async_client_offers_what_the_client_offers() -> None:
    for name, method in inspect.getmembers(slimserve.Client, inspect.isfunction):
        if not name.startswith("_"):
            other = getattr(slimserve.AsyncClient, name)
            at_once = ("stream", "statistics")  # an iterator that is awaited, and what is known already
            assert inspect.iscoroutinefunction(other) or name in at_once
            assert list(inspect.signature(other).parameters) == list(inspect.signature(method).parameters)


@pytest.mark.parametrize("name", [name for name in slimserve.__all__ if name != name.upper()])
def test_everything_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(slimserve, name))


def test_the_errors_are_those_of_the_hierarchy_in_their_module() -> None:
    drawn = slimserve.errors.__doc__ or ""
    errors = [
        name
        for name in slimserve.__all__
        if inspect.isclass(value := getattr(slimserve, name)) and issubclass(value, Exception)
    ]
    for name in errors:
        assert name in drawn
        assert issubclass(getattr(slimserve, name), slimserve.ServingError)


def test_errors_survive_pickling() -> None:
    error = slimserve.ModelNotFound("no model", details="Servable not found")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.code, copy.details) == (str(error), error.code, error.details)


def test_an_import_brings_neither_tensorflow_nor_pillow_nor_rich() -> None:
    script = "import slimserve, sys; print(*{name.split('.')[0] for name in sys.modules})"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {
        "tensorflow",
        "tensorflow_serving",
        "tf_slim",
        "PIL",
        "rich",
        "export",
        "serving_config",
    } & set(answer.stdout.split())
