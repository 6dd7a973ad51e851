"""Mutate checkpoints and archives, and read each mutant to its end.

Run it by `python -m tests.robustness.attacks.hostile_checkpoints`.

A mutant must be refused by an ExportError of one line or read with the right bits. Those whose checksums were made
to match again may hold other bits, but nothing worse. None may leave a file behind, take a minute or 3 GB.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic

import google_crc32c
import numpy as np
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.formats.checked_file import CheckedFile, masked_crc
from slimserve.export.checkpoint.formats.sstable import FOOTER_SIZE, Handle, Table, varint
from slimserve.export.errors import ExportError

from tests.support import archives
from tests.support.checkpoints import SLICED, WRITERS, crafted_v1, crafted_v2, small_tensors
from tests.support.memory import peak

TENSORS = small_tensors()
LONGEST = 60.0  # seconds
LARGEST = 3 << 30  # bytes
NASTY = [0, 1, -1, 3, 255, 1 << 31, (1 << 31) - 1, 1 << 33, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63)]

Edit = Callable[[random.Random, bytes], bytes]


def flip_bits(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 1, 2, 4, 16])):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def overwrite_the_end(source: random.Random, data: bytes) -> bytes:
    """Where tables have their index and footer."""
    changed = bytearray(data)
    for _ in range(source.choice([1, 2, 4])):
        changed[-source.randint(1, min(200, len(changed)))] = source.choice(
            [0, 127, 128, 255, source.randrange(256)]
        )
    return bytes(changed)


def truncate(source: random.Random, data: bytes) -> bytes:
    return data[
        : source.choice([source.randrange(len(data)), len(data) - source.randint(1, min(64, len(data)))])
    ]


def swap_ranges(source: random.Random, data: bytes) -> bytes:
    size = source.randint(1, max(1, len(data) // 4))
    first = source.randrange(len(data) - 2 * size + 1)
    second = source.randrange(first + size, len(data) - size + 1)
    middle = data[first + size : second]
    return (
        data[:first]
        + data[second : second + size]
        + middle
        + data[first : first + size]
        + data[second + size :]
    )


def clear_range(source: random.Random, data: bytes) -> bytes:
    start = source.randrange(len(data))
    end = min(len(data), start + source.choice([1, 16, 512, 4096]))
    return data[:start] + bytes(end - start) + data[end:]


def insert_bytes(source: random.Random, data: bytes) -> bytes:
    start = source.randrange(len(data) + 1)
    return data[:start] + source.randbytes(source.choice([1, 8, 5000])) + data[start:]


EDITS: list[Edit] = [
    flip_bits,
    flip_bits,
    overwrite_the_end,
    truncate,
    swap_ranges,
    clear_range,
    insert_bytes,
]


class Attack:
    """Sound checkpoints in a folder of their own, and the mutants made of them."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        tensors: Mapping[str, np.ndarray] = TENSORS,
        writers: Mapping[str, Callable[..., object]] = WRITERS,
    ) -> None:
        self.source = random.Random(seed)
        self.sound = folder / "sound"
        self.sound.mkdir()
        writers["V1"](self.sound / "v1", tensors)
        writers["V2"](self.sound / "v2", tensors)
        self.v1 = (self.sound / "v1").read_bytes()
        self.index = (self.sound / "v2.index").read_bytes()
        self.data = (self.sound / "v2.data-00000-of-00001").read_bytes()
        for name in ("v1.tar", "v1.tar.gz"):
            archives.archive(self.sound / name, archives.member("vgg_16.ckpt", self.v1))

    def mutant(self, number: int, folder: Path) -> tuple[str, Path, bool]:
        """Write a mutant; return what it is, its path, and whether its bits may differ from the sound ones'."""
        makers = [
            self._v1,
            self._v2_index,
            self._v2_data,
            self._archive,
            self._tar_header,
            self._signed_v1,
            self._signed_index,
            self._absurd,
        ]
        if number < len(archives.HOSTILE):
            make = archives.HOSTILE[number]
            return f"archive: {make.__name__}", make(folder / "vgg.tar.gz", self.v1), False
        return makers[number % len(makers)](folder)

    def _edited(self, data: bytes) -> tuple[str, bytes]:
        edit = self.source.choice(EDITS)
        return edit.__name__, edit(self.source, data)

    def _v1(self, folder: Path) -> tuple[str, Path, bool]:
        name, data = self._edited(self.v1)
        (folder / "v1").write_bytes(data)
        return f"v1: {name}", folder / "v1", False

    def _v2(self, folder: Path, index: bytes, data: bytes) -> Path:
        (folder / "v2.index").write_bytes(index)
        (folder / "v2.data-00000-of-00001").write_bytes(data)
        return folder / "v2"

    def _v2_index(self, folder: Path) -> tuple[str, Path, bool]:
        name, index = self._edited(self.index)
        return f"v2 index: {name}", self._v2(folder, index, self.data), False

    def _v2_data(self, folder: Path) -> tuple[str, Path, bool]:
        name, data = self._edited(self.data)
        return f"v2 data: {name}", self._v2(folder, self.index, data), False

    def _archive(self, folder: Path) -> tuple[str, Path, bool]:
        path = self.source.choice([self.sound / "v1.tar", self.sound / "v1.tar.gz"])
        name, data = self._edited(path.read_bytes())
        (folder / path.name).write_bytes(data)
        return f"archive: {name}", folder / path.name, False

    def _tar_header(self, folder: Path) -> tuple[str, Path, bool]:
        """A member's header changed, its checksum made to match."""
        header = bytearray((self.sound / "v1.tar").read_bytes()[:512])
        for _ in range(self.source.choice([1, 2, 4])):
            header[
                self.source.choice([*range(124, 136), 156, *range(257, 265), self.source.randrange(512)])
            ] = self.source.choice([0, 0x80, 0xFF, *b"0123456789LKSgxN", self.source.randrange(256)])
        header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
        (folder / "v1.tar").write_bytes(header + (self.sound / "v1.tar").read_bytes()[512:])
        return "archive: signed header", folder / "v1.tar", False

    def _signed_v1(self, folder: Path) -> tuple[str, Path, bool]:
        (folder / "v1").write_bytes(self._signed(self.sound / "v1", self.v1))
        return "v1: signed", folder / "v1", True

    def _signed_index(self, folder: Path) -> tuple[str, Path, bool]:
        index = self._signed(self.sound / "v2.index", self.index)
        return "v2 index: signed", self._v2(folder, index, self.data), True

    def _signed(self, path: Path, data: bytes) -> bytes:
        """Change metadata inside a block and make the block's checksum match again."""
        changed = bytearray(data)
        for _ in range(self.source.choice([1, 1, 2, 4])):
            block = self.source.choice(_metadata_blocks(path))
            end = block.offset + block.size
            position = block.offset + self.source.randrange(min(block.size, 600))
            flipped = changed[position] ^ 1 << self.source.randrange(8)
            changed[position] = self.source.choice(
                [0, 1, 0x7F, 0x80, 0xFF, flipped, self.source.randrange(256)]
            )
            changed[end + 1 : end + 5] = struct.pack(
                "<I", masked_crc(google_crc32c.value(bytes(changed[block.offset : end + 1])))
            )
        return bytes(changed)

    def _absurd(self, folder: Path) -> tuple[str, Path, bool]:
        shape = tuple(self.source.choice(NASTY[:-1]) for _ in range(self.source.randint(0, 4)))
        dtype = self.source.choice([1, 1, 1, 2, 3, 7, 9, 14, 19, 20, 99, 101])
        if self.source.random() < 0.4:
            return (
                "v1: absurd",
                crafted_v1(folder / "v1", shape, dtype, self.source.choice([0, 3, 1000])),
                True,
            )
        entry = {"shape": shape if self.source.random() < 0.5 else (3,), "dtype": dtype}
        for field in ("offset", "size"):
            if self.source.random() < 0.4:
                entry[field] = self.source.choice(NASTY)
        if self.source.random() < 0.2:
            entry["shard_id"] = self.source.choice([-1, 5, (1 << 31) - 1])
        return (
            "v2: absurd",
            crafted_v2(folder / "v2", self.source.choice([1, 1, 1, 0, 1 << 30]), **entry),
            True,
        )


def _metadata_blocks(path: Path) -> list[Handle]:
    """The first data block, which holds the names and shapes, and the index block."""
    file = CheckedFile(path)
    try:
        first = Table(file).block_of(b"")
        footer = file.at(file.size - FOOTER_SIZE, FOOTER_SIZE)
    finally:
        file.close()
    numbers, at = [], 0
    for _ in range(4):
        number, at = varint(footer, at)
        numbers.append(number)
    return [first, Handle(*numbers[2:])]


def read_to_the_end(path: Path, may_differ: bool) -> str:
    """Return "refused" or "read", or what went wrong."""
    try:
        with open_checkpoint(path) as checkpoint:
            tensors = dict(checkpoint.read_all(checkpoint.tensors))
    except ExportError as error:
        return "refused" if "\n" not in str(error) and len(str(error)) > 20 else f"unclear: {error}"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {error}"
    if may_differ:
        return "read"
    right = tensors.keys() == TENSORS.keys() and all(
        array.dtype == TENSORS[name].dtype and np.array_equal(array, TENSORS[name])
        for name, array in tensors.items()
    )
    return "read" if right else "wrong bits"


def attack(count: int, seed: int, *, sliced: bool = False) -> Iterator[dict[str, object]]:
    """Yield what became of each mutant."""
    with tempfile.TemporaryDirectory() as root:
        folder, unpacked = Path(root) / "mutant", Path(root) / "unpacked"
        unpacked.mkdir()
        tempfile.tempdir = str(unpacked)
        mutants = Attack(Path(root), seed, writers=SLICED if sliced else WRITERS)
        for number in range(count):
            folder.mkdir()
            kind, path, may_differ = mutants.mutant(number, folder)
            before = sorted(Path(root).rglob("*"))
            start = monotonic()
            outcome = read_to_the_end(path, may_differ)
            seconds = monotonic() - start
            if sorted(Path(root).rglob("*")) != before:
                outcome = "files left behind"
            if seconds > LONGEST:
                outcome = f"hang: {seconds:.0f} s"
            yield {"number": number, "kind": kind, "outcome": outcome, "seconds": seconds}
            shutil.rmtree(folder)
        tempfile.tempdir = None


def main() -> int:
    """Print a line for each failure, then a summary as JSON; exit 1 when anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sliced", action="store_true", help="mutate checkpoints of partitioned variables")
    options = parser.parse_args()
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for result in attack(options.count, options.seed, sliced=options.sliced):
        slowest = max(slowest, float(str(result["seconds"])))
        outcomes[str(result["outcome"])] += 1
        if result["outcome"] not in ("refused", "read"):
            print(json.dumps(result), file=sys.stderr)
    print(json.dumps({"outcomes": outcomes, "slowest": slowest, "peak": peak()}))
    return int(bool(outcomes.keys() - {"refused", "read"}) or peak() > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
