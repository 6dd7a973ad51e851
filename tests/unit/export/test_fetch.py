"""`fetch` brings published archives whole or not at all, from a server of this machine that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from slimserve.export.checkpoint.published.download import fetch, origin
from slimserve.export.checkpoint.published.table import ARCHIVE, PUBLISHED
from slimserve.export.errors import ExportError

from tests.unit.export.archive_host import CONTENT, FILE, NAME, Host, fetched


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


def test_no_network_is_said_with_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(
        ExportError, match=r"^can't reach http://127\.0\.0\.1:9/.*refused.* give the file to --ckpt$"
    ):
        fetch(PUBLISHED[NAME], tmp_path, mirror="http://127.0.0.1:9/", pause=0.0)


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


def test_what_was_fetched_stands_in_the_record(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(gzip.compress(b""))
    path.with_name(f"{FILE}.fetched.json").write_text(
        json.dumps({"bytes": path.stat().st_size, "sha256": "ab"})
    )
    assert origin(path) == {"bytes": path.stat().st_size, "sha256": "ab"}
