"""Systems other than Linux: the exporter does without what they lack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.small_network import small_checkpoint

WINDOWS = """
import mmap, os, sys
import rich.progress, tensorflow, tf_slim
sys.platform = "win32"
sys.modules["fcntl"] = None
del os.O_NONBLOCK, os.O_DIRECTORY, os.O_NOFOLLOW, os.geteuid, mmap.MAP_PRIVATE, mmap.MAP_ANONYMOUS
import slimserve.export.demo.__main__
from tests.support.small_network import know_the_small_network, main
know_the_small_network()
sys.exit(main())
"""


def test_a_checkpoint_is_exported_without_what_windows_lacks(tmp_path: Path) -> None:
    checkpoint, out = small_checkpoint(tmp_path / "small.ckpt"), tmp_path / "small"
    command = [sys.executable, "-c", WINDOWS, "--ckpt", checkpoint, "--net", "small", "--out", out]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in out.iterdir()] == ["1"]
