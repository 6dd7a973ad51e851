"""Files and addresses that are no checkpoint: what they are, by their first bytes or their suffix, and what to do."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import ExportError

HEAD = 4096  # bytes that tell a kind
_TAIL = 1 << 18  # bytes; a zip archive lists its members at its end
_NO_CHECKPOINT = "is not a TensorFlow checkpoint"
_GIVE = (
    "give the checkpoint that slim's training wrote, model.ckpt-STEP.index with its .data files or a V1 file"
)
_OTHER_TOOL = f"its weights are not converted; {_GIVE}"
_FROM = "its weights are stored otherwise; give the checkpoint that it was made from"

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.S)
_COPY = {
    "http": "curl -LO ADDRESS",
    "https": "curl -LO ADDRESS",
    "ftp": "curl -O ADDRESS",
    "gs": "gcloud storage cp 'ADDRESS*' .",
    "s3": "aws s3 cp --recursive FOLDER . --exclude '*' --include 'NAME*'",
    "hdfs": "hdfs dfs -get 'ADDRESS*' .",
}

# Kinds by their first bytes, what follows "is not a TensorFlow checkpoint but".
_STARTS = {
    b"version https://git-lfs": "a pointer of Git LFS to a file that was not downloaded: run `git lfs pull` in the "
    "repository, then export again",
    b"\x93NUMPY": f"a NumPy array: {_OTHER_TOOL}",
    b"\x89HDF": f"an HDF5 file (Keras weights): {_OTHER_TOOL}",
    b"MATLAB 5.0": f"a MATLAB file, as MatConvNet's: {_OTHER_TOOL}",
    b"GGUF": f"a GGUF file: {_OTHER_TOOL}",
    b"BZh": "a bzip2 archive: unpack it first (tar xf or bunzip2), then give what comes out",
    b"\xfd7zXZ": "an xz archive: unpack it first (tar xf or unxz), then give what comes out",
    b"\x28\xb5\x2f\xfd": "a zstd archive: unpack it first (tar xf or unzstd), then give what comes out",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first (7z x), then give what comes out",
    b"Rar!": "a RAR archive: unpack it first (unrar x), then give what comes out",
    b"\x1f\x8b": "compressed by gzip: unpack it first (gunzip), then give what comes out",
    b"\x89PNG": f"a PNG image: {_GIVE}",
    b"\xff\xd8\xff": f"a JPEG image: {_GIVE}",
}
_SUFFIXES = {
    ".caffemodel": f"a Caffe model: {_OTHER_TOOL}",
    ".onnx": f"an ONNX model: {_FROM}",
    ".tflite": f"a TensorFlow Lite model: {_FROM}",
    ".pbtxt": f"a graph as text, without weights: {_GIVE}",
    ".pb": f"a frozen graph, its weights are constants in it: {_FROM.partition('; ')[2]}",
    ".h5": f"a file of Keras: {_OTHER_TOOL}",
    ".keras": f"a Keras model: {_OTHER_TOOL}",
    ".pt": f"a file of PyTorch: {_OTHER_TOOL}",
    ".pth": f"a file of PyTorch: {_OTHER_TOOL}",
    ".safetensors": f"a file of safetensors: {_OTHER_TOOL}",
    ".npy": f"a NumPy array: {_OTHER_TOOL}",
    ".npz": f"an archive of NumPy arrays: {_OTHER_TOOL}",
    ".mlmodel": f"a Core ML model: {_FROM}",
    ".weights": f"a file of Darknet: {_OTHER_TOOL}",
    ".params": f"a file of MXNet: {_OTHER_TOOL}",
    ".msgpack": f"a file of Flax: {_OTHER_TOOL}",
    ".orbax": f"one of Orbax, as JAX has them: {_OTHER_TOOL}",
    ".tfrecord": f"a file of training examples: {_GIVE}",
}
# Of a zip archive, by what its list of members has.
_ZIPPED = (
    (rb"data\.pkl", f"a file of PyTorch: {_OTHER_TOOL}"),
    (rb"\.weights\.h5", f"a Keras model: {_OTHER_TOOL}"),
    (rb"saved_model\.pb", f"a zip archive with a SavedModel in it: {_FROM}"),
    (
        rb"\.data-\d{5}-of-\d{5}|\.ckpt\b|/checkpoint\b|\.index\b",
        "a zip archive with a checkpoint in it: unpack it (unzip NAME), then give the checkpoint's folder",
    ),
    (rb"\.npy", f"an archive of NumPy arrays: {_OTHER_TOOL}"),
)


def refuse_address(text: str) -> None:
    """Raise ExportError where a path is an address; it says how to fetch what lies there."""
    found = _ADDRESS.fullmatch(text)
    if not found or Path(text).exists():
        return
    scheme, rest = found[1].lower(), found[2]
    if scheme == "file":
        raise ExportError(f"{text} is an address: give the path, /{rest}")
    # What an address may hold besides is for nobody's terminal: a password, or a signature.
    rest = re.sub(r"^[^/@]*@", "", rest).partition("?")[0]
    address = f"{scheme}://{rest}"
    folder, _, name = address.rpartition("/")
    copy = _COPY.get(scheme, "")
    copy = copy.replace("ADDRESS", address).replace("FOLDER", f"{folder}/").replace("NAME", name)
    raise ExportError(
        f"{address} is an address, and only files of this machine are read: copy the checkpoint here first"
        f"{f' ({copy})' if copy else ''}, then give its path"
    )


def what_it_is(path: Path) -> str:
    """Return what a file that holds no checkpoint is, and what to do, as the rest of a sentence about it."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
        stream.seek(max(0, path.stat().st_size - _TAIL))
        tail = stream.read(_TAIL)
    if not head:
        return "is empty: download or copy the checkpoint again"
    if path.suffix == ".meta":
        prefix = path.with_suffix("")
        if prefix.is_file() or path.with_suffix(".index").is_file():
            return f"{_NO_CHECKPOINT} but its graph: give {prefix}"
        return f"{_NO_CHECKPOINT} but a graph without weights: copy {path.stem}.index and its .data files too"
    return described(head, path.name, tail)


def is_of_another_tool(said: str) -> bool:
    """Tell whether that is worth telling of a file that nobody named: of text and images it is not."""
    return not re.match(rf"{_NO_CHECKPOINT}(:| but (text|JSON|a (PNG|JPEG) image))", said)


def described(head: bytes, name: str, tail: bytes = b"") -> str:
    """Return the same of a file's first bytes, its name and, for a zip archive, its last bytes."""
    kind = _kind(head, name, tail)
    return f"{_NO_CHECKPOINT} but {kind.replace('NAME', name)}" if kind else f"{_NO_CHECKPOINT}: {_GIVE}"


def _kind(head: bytes, name: str, tail: bytes) -> str:
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<":
        return "an HTML or XML page: the download went wrong; download it again, and log in first where that is asked"
    if head.startswith(b"PK"):
        found = next((kind for members, kind in _ZIPPED if re.search(members, tail)), "")
        return found or "a zip archive: unpack it first (unzip NAME), then give the checkpoint that comes out"
    if head[4:8] == b"TFL3":
        return _SUFFIXES[".tflite"]
    if head[8:10] == b'{"':
        return _SUFFIXES[".safetensors"]
    if re.match(rb"\x80[\x02-\x05]", head):
        return f"a pickle of Python, as PyTorch's older files are: {_OTHER_TOOL}"
    if name.startswith("events.out.tfevents"):
        return f"a file of TensorBoard's events: {_GIVE}"
    return _message(head) or _SUFFIXES.get(Path(name).suffix.lower(), "") or _plain(head, text)


def _message(head: bytes) -> str:
    """Tell the protobuf messages of other tools by their first fields."""
    if head.startswith((b"\x08\x01\x12", b"\x08\x01\x1a")) or head == b"\x08\x01":
        return "a SavedModel already: serve its folder as it is, or give the checkpoint it was made of"
    if re.match(rb"\x08[\x02-\x1f](\x12.[\x20-\x7e]{2}|\x1a|\x22|\x28|\x3a|\x42)", head, re.S):
        return _SUFFIXES[".onnx"]
    # A GraphDef begins with a node: its name and its op.
    if re.match(rb"\x0a.{1,3}?\x0a(.)[\x20-\x7e]+\x12.[A-Z_][A-Za-z0-9]+", head, re.S):
        return _SUFFIXES[".pb"]
    # A NetParameter of Caffe begins with the network's name.
    if re.match(rb"\x0a.[\x20-\x7e]{3,}?(\x12|\x1a|\xa2\x06|\x22)", head, re.S):
        return _SUFFIXES[".caffemodel"]
    return ""


def _plain(head: bytes, text: bytes) -> str:
    if not head.strip(b"\0"):
        return "zeros: the download or the copy was not finished; do it again"
    if text[:1] in (b"{", b"["):
        return "JSON text, as servers answer errors: download it again"
    if all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in head):
        return f"text: {_GIVE}"
    return ""
