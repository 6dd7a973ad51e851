"""Systems other than Linux: what the exporter imports, and what it does without locks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WINDOWS = """
import sys
import rich.progress, tensorflow, tf_slim, tensorflow_serving.apis.prediction_log_pb2
sys.platform = "win32"
sys.modules["fcntl"] = None
"""


def run(program: str, *arguments: Path) -> str:
    command = [sys.executable, "-c", WINDOWS + program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_exporter_is_imported_without_linux_modules() -> None:
    run("import slimserve.export.cli, slimserve.export.pipeline, slimserve.export.demo.__main__")


def test_a_version_is_published_without_locks(tmp_path: Path) -> None:
    program = """
from pathlib import Path
from slimserve.export.savedmodel.publication import draft_version
with draft_version(Path(sys.argv[1]), None, 10) as draft:
    (draft.folder / "file").write_text("text")
    draft.publish()
"""
    run(program, tmp_path / "model")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "model",
        "model/1",
        "model/1/file",
    ]
