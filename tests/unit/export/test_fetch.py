"""`fetch` brings published archives whole or not at all, from a server of this machine that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from slimserve.export import cli
from slimserve.export.checkpoint.published.download import fetch, origin
from slimserve.export.checkpoint.published.table import ARCHIVE, PUBLISHED, find_published
from slimserve.export.cli import fetching
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS

Call = Callable[..., "CompletedProcess[str]"]
NAME = "vgg_16"
FILE = "vgg_16_2016_08_28.tar.gz"


def archive() -> bytes:
    """An archive of noise, which gzip can't make smaller."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        data = np.random.default_rng(0).bytes(3_000_000)
        member = tarfile.TarInfo("vgg_16.ckpt")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


CONTENT = archive()


@dataclass
class Host:
    """What a server does, one entry for each request that it gets; then it sends all that is asked for.

    Attributes:
        cuts: after so many bytes the connection ends.
        statuses: answered in place of the content, where they are not 0.
        ranges: whether it knows them.
        asked: path and first byte of each request.
    """

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    said: int = 0
    address: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(wanted[1]) if wanted else 0
            host.asked.append((self.path, start))
            if status := host.statuses.pop(0) if host.statuses else 0:
                self.send_error(status)
                return
            total = host.said or len(host.content)
            if wanted and host.ranges and start >= len(host.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(host.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if wanted and host.ranges:
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                start = 0
                self.send_response(200)
            self.send_header("Content-Length", str(total - start))
            self.end_headers()
            stop = start + host.cuts.pop(0) if host.cuts else len(host.content)
            with suppress(OSError):
                self.wfile.write(host.content[start:stop])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host.address = f"http://127.0.0.1:{server.server_port}"
    yield host
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetched(host: Host, folder: Path) -> Path:
    return fetch(PUBLISHED[NAME], folder, mirror=host.address, pause=0.0)


def test_an_archive_arrives_whole_and_its_origin_is_kept(host: Host, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(PUBLISHED[NAME], tmp_path / "new", lambda *at: seen.append(at), mirror=host.address)
    assert path.name == FILE
    assert path.read_bytes() == CONTENT
    assert host.asked == [(f"/download.tensorflow.org/models/{FILE}", 0)]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert origin(path) == {
        "name": NAME,
        "address": f"{host.address}/download.tensorflow.org/models/{FILE}",
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert {file.name for file in path.parent.iterdir()} == {FILE, f"{FILE}.fetched.json"}


def test_what_is_there_is_not_fetched_again(host: Host, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"whatever")
    assert fetched(host, tmp_path).read_bytes() == b"whatever"
    assert host.asked == []
    assert origin(tmp_path / FILE) is None


def test_another_file_in_its_place_has_no_origin(host: Host, tmp_path: Path) -> None:
    path = fetched(host, tmp_path)
    path.write_bytes(b"another")
    assert origin(path) is None


def test_a_connection_that_ends_is_gone_on_with(host: Host, tmp_path: Path) -> None:
    host.cuts = [1_000_000, 500_000]
    assert fetched(host, tmp_path).read_bytes() == CONTENT
    assert [start for _, start in host.asked] == [0, 1_000_000, 1_500_000]


def test_a_later_command_goes_on_where_an_earlier_one_ended(host: Host, tmp_path: Path) -> None:
    host.cuts = [1_000_000, 0, 0, 0, 0]
    with pytest.raises(
        ExportError, match=r"was cut off after 1,000,000 bytes .*: the same command goes on from there$"
    ):
        fetched(host, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [f"{FILE}.part"]
    host.asked.clear()
    assert fetched(host, tmp_path).read_bytes() == CONTENT
    assert [start for _, start in host.asked] == [1_000_000]


def test_without_ranges_it_begins_again(host: Host, tmp_path: Path) -> None:
    host.ranges, host.cuts = False, [1_000_000]
    assert fetched(host, tmp_path).read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(host: Host, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT)
    assert fetched(host, tmp_path).read_bytes() == CONTENT
    assert len(host.asked) == 1


def test_a_part_longer_than_the_whole_is_let_go(host: Host, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT + b"more")
    assert fetched(host, tmp_path).read_bytes() == CONTENT


def test_the_part_of_another_file_is_found_out(host: Host, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(b"\0" * 1_000_000)
    with pytest.raises(ExportError, match=r"is no whole \.tar\.gz .*: nothing is kept"):
        fetched(host, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"<html>Sign in to the network</html>", CONTENT[:-4], CONTENT[:-1] + b"x"]
)
def test_what_is_no_archive_is_not_kept(content: bytes, host: Host, tmp_path: Path) -> None:
    host.content = content
    with pytest.raises(ExportError, match="a proxy may have answered in its place"):
        fetched(host, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_is_never_reached_is_a_cut(host: Host, tmp_path: Path) -> None:
    host.said, host.ranges = len(CONTENT) + 1, False
    with pytest.raises(ExportError, match=f"was cut off after {len(CONTENT):,} bytes"):
        fetched(host, tmp_path)
    assert not (tmp_path / FILE).exists()


def test_busy_servers_are_asked_again(host: Host, tmp_path: Path) -> None:
    host.statuses = [503, 429, 500]
    assert fetched(host, tmp_path).read_bytes() == CONTENT


def test_what_has_moved_is_said_at_once(host: Host, tmp_path: Path) -> None:
    host.statuses = [404]
    with pytest.raises(
        ExportError, match=r"answers 404 Not Found: it may have moved: .* give the file to --ckpt$"
    ):
        fetched(host, tmp_path)
    assert len(host.asked) == 1


def test_no_network_is_said_with_the_address(tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"^can't reach http://127\.0\.0\.1:9/.*refused.* give the file to --ckpt$"
    ):
        fetch(PUBLISHED[NAME], tmp_path, mirror="http://127.0.0.1:9/", pause=0.0)


def test_the_command_fetches_and_says_what_comes_next(host: Host, tmp_path: Path, call: Call) -> None:
    result = call(cli.main, "fetch", NAME, "--into", tmp_path, "--mirror", host.address)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path / FILE}\nnext: python -m export --ckpt {tmp_path / FILE}\n"
    assert json.loads((tmp_path / f"{FILE}.fetched.json").read_text())["bytes"] == len(CONTENT)


def test_an_unknown_name_is_answered_with_those_near(call: Call) -> None:
    result = call(cli.main, "fetch", "vgg16")
    assert result.returncode == 1
    assert "no published checkpoint is called 'vgg16': did you mean vgg_16 or" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--into", "file", "cannot make the folder file: File exists: choose another with --into"),
        (
            "--mirror",
            "mirror.example.org",
            "must start with https:// or http://, not mirror.example.org: --mirror",
        ),
        ("--mirror", "ftp://mirror.example.org", "must start with https:// or http://"),
    ],
)
def test_a_place_that_can_be_none_is_told(
    option: str, value: str, words: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    result = call(cli.main, "fetch", NAME, option, value)
    assert result.returncode == 1
    assert words in result.stderr


@pytest.mark.parametrize("arguments", [[], ["vgg_16", "--list"]])
def test_a_name_or_the_list_is_asked_for(arguments: list[str], call: Call) -> None:
    with pytest.raises(SystemExit) as caught:
        call(cli.main, "fetch", *arguments)
    assert caught.value.code == 2


def test_the_list_has_every_network_and_says_which_are_not_exported(call: Call) -> None:
    lines = call(cli.main, "fetch", "--list").stdout.splitlines()
    assert len(lines) == len(PUBLISHED)
    for line in lines:
        network = find_published(line.split()[0]).network
        exported = any(name.startswith(network) for name in NETWORKS)
        assert ("does not export" in line) != exported


def test_addresses_are_those_of_the_public_tables() -> None:
    """As research/slim/README.md, mobilenet_v1.md, mobilenet/README.md and DeepLab's model_zoo.md have them."""
    expected = {
        "vgg_19": "download.tensorflow.org/models/vgg_19_2016_08_28.tar.gz",
        "inception_v4": "download.tensorflow.org/models/inception_v4_2016_09_09.tar.gz",
        "resnet_v2_152": "download.tensorflow.org/models/resnet_v2_152_2017_04_14.tar.gz",
        "mobilenet_v1_0.5_160": "download.tensorflow.org/models/mobilenet_v1_2018_02_22/mobilenet_v1_0.5_160.tgz",
        "mobilenet_v2_1.4_224": "mobilenet_v2/checkpoints/mobilenet_v2_1.4_224.tgz",
        "nasnet_large": "download.tensorflow.org/models/nasnet-a_large_04_10_2017.tar.gz",
        "pnasnet_mobile": "download.tensorflow.org/models/pnasnet-5_mobile_2017_12_13.tar.gz",
        "deeplabv3_mnv2_ade20k_train": "download.tensorflow.org/models/deeplabv3_mnv2_ade20k_train_2018_12_03.tar.gz",
        "deeplabv3_mnv2_pascal_train_aug": "download.tensorflow.org/models/"
        "deeplabv3_mnv2_pascal_train_aug_2018_01_29.tar.gz",
    }
    assert {name: PUBLISHED[name].address() for name in expected} == {
        name: f"{ARCHIVE}/{path}" for name, path in expected.items()
    }


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


class TestNamesGivenToCkpt:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize("file", ["vgg_16", "vgg_16.ckpt", "vgg_16.index", "vgg_16-3000.index"])
    def test_files_come_first(self, file: str) -> None:
        Path(file).touch()
        assert fetching.checkpoint_named(NAME, "python -m export") == NAME

    def test_other_names_are_paths(self) -> None:
        assert fetching.checkpoint_named("no/such.ckpt", "python -m export") == "no/such.ckpt"

    def test_what_was_fetched_is_taken(self) -> None:
        (fetching.FOLDER).mkdir()
        (fetching.FOLDER / FILE).touch()
        assert fetching.checkpoint_named(NAME, "python -m export") == f"checkpoints/{FILE}"

    def test_without_a_terminal_nothing_is_fetched(self, call: Call) -> None:
        result = call(cli.main, "--ckpt", NAME)
        assert result.returncode == 1
        assert result.stderr == (
            "error: no file is called vgg_16, but a published checkpoint is: `python -m export fetch vgg_16` brings "
            "it; then give that name again\n"
        )

    @pytest.mark.parametrize("given", ["VGG_16", "vgg16"])
    def test_a_name_that_is_nearly_published_is_told(self, given: str, call: Call) -> None:
        result = call(cli.main, "--ckpt", given)
        assert result.returncode == 1
        assert result.stderr == (
            f"error: no file is called {given}; a published checkpoint is called vgg_16: "
            "`python -m export fetch vgg_16` brings it\n"
        )

    def test_inspect_takes_such_names_too(self, call: Call) -> None:
        result = call(cli.main, "inspect", NAME)
        assert "`python -m export fetch vgg_16` brings it" in result.stderr

    @pytest.mark.parametrize(("answer", "wanted"), [("y\n", True), ("\n", False), ("n\n", False)])
    def test_on_a_terminal_the_user_is_asked(
        self, answer: str, wanted: bool, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Terminal()
        monkeypatch.setattr(fetching, "_fetched", lambda published, folder: fetched(host, folder))
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        monkeypatch.setattr("sys.stderr", asked)
        if wanted:
            assert fetching.checkpoint_named(NAME, "python -m export") == f"checkpoints/{FILE}"
        else:
            with pytest.raises(ExportError, match="nothing was fetched: `python -m export fetch vgg_16`"):
                fetching.checkpoint_named(NAME, "python -m export")
        assert PUBLISHED[NAME].address() in asked.getvalue()
        assert asked.getvalue().endswith("[y/N] ")
        assert bool(host.asked) == wanted


def test_what_was_fetched_stands_in_the_record(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(gzip.compress(b""))
    path.with_name(f"{FILE}.fetched.json").write_text(
        json.dumps({"bytes": path.stat().st_size, "sha256": "ab"})
    )
    assert origin(path) == {"bytes": path.stat().st_size, "sha256": "ab"}
