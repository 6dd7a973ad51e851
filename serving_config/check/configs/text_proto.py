"""Where the fields of a text-format protocol buffer stand: a tree that knows places and lines.

Protobuf's own parser says what is right (messages.py). But it stops at the first fault and forgets the lines of what
it accepted; `check` needs all faults and the line of every value, and roll-outs change a file in its places. Grammar:
https://protobuf.dev/reference/protobuf/textformat-spec/. What an Any holds is kept under the name in its brackets.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_encoding

from ..finding import Finding

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f\v]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<word>-?[\w.][\w.+-]*)
      | (?P<mark>[{}<>\[\]:,;/])""",
    re.VERBOSE,
)
_OPENERS = {"{": "}", "<": ">"}
_TYPE = re.compile(r"[A-Za-z_]\w*([./-]\w+)*")  # of an extension, or the address of an Any's
_TRUE = {"true", "True", "t", "1"}
_EXAMPLE = 'write the text format: model_config_list { config { name: "..." } }'
# What people write in the place of the text format, by a sign of it; the last one found is named.
_OTHER_FORMATS = (
    (r"(?m)^\s*- +\w+:|^(\s*)\w+:\s*\n\1\s+\w+:", "this is YAML", _EXAMPLE),
    (r"^[^\"'\n]*\w\s*=", "a field is written with =", 'write a colon, name: "..."'),
    (r"^\s*[{[]", "this is JSON", _EXAMPLE),
    (r"(?m)^\s*(//|/\*)", "a comment begins with //", "begin comments with #"),
    (r"(?m)^\s*\[{1,2}[\w.-]+\]{1,2}\s*$|^\s*[\w-]+\s*=", "this is TOML", _EXAMPLE),
    (r"^\s*<(\?xml|(\w+)\b[^{}]*</\2>)", "this is XML", _EXAMPLE),
    (r"{{|{%|<%", "a template", "check what its tool makes of it"),
    ("[\u00a0\u2000-\u200f\u202f\u2060\u3000]", "a space that is none of ASCII's", "write plain spaces"),
    ("[“”„‘’]", "typographic quotes", 'write plain ones, "..."'),
    ("^\ufeff", "a byte order mark, on which the server ends", "save it as UTF-8 without one"),
)


@dataclass
class Node:
    """One field, from `start` to `end` in the text; its value begins at `value_start`.

    `text` is the scalar (None for a message), without quotes where it was `quoted`; `fields` is what a message holds.
    """

    name: str
    path: Path
    line: int
    start: int
    value_start: int
    end: int = 0
    text: str | None = None
    quoted: bool = False
    fields: list["Node"] = field(default_factory=list)
    source: str = field(default="", repr=False)
    """Of the root, the text that was read."""

    @property
    def is_message(self) -> bool:
        """Whether the field was written with braces."""
        return self.text is None

    @property
    def number(self) -> int:
        """The whole number, 0 where none is written."""
        return integer(self.text or "") or 0

    def all(self, name: str, *deeper: str) -> list["Node"]:
        """The fields along a path of names, in order."""
        found = [node for node in self.fields if node.name == name]
        return [below for node in found for below in node.all(*deeper)] if deeper else found

    def first(self, *path: str) -> "Node | None":
        """The first field along a path of names, or None."""
        node: Node | None = self
        for name in path:
            node = next(iter(node.all(name)), None) if node else None
        return node

    def value(self, *path: str, default: str = "") -> str:
        """The scalar at a path of names, or `default`."""
        node = self.first(*path)
        return default if node is None or node.text is None else node.text

    def on(self, *path: str) -> bool:
        """Whether the scalar at a path of names is true."""
        return self.value(*path) in _TRUE

    def fault(self, message: str, advice: str) -> Finding:
        """A finding on the field's line."""
        return Finding(self.path, self.line, message, advice)

    def walk(self) -> Iterator["Node"]:
        """This node and all below it."""
        yield self
        for node in self.fields:
            yield from node.walk()


def integer(text: str) -> int | None:
    """A whole number in the text format's notation, decimal, 0x1f or 017; None where it is none."""
    digits = text.lstrip("-")
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[:1] == "0" and len(digits) > 1 else 10
    try:
        return None if "_" in text else int(text, base)
    except ValueError:
        return None


class TextProtoError(ValueError):
    """The text is not in text format; `line` says where it breaks."""

    def __init__(self, line: int, message: str):
        super().__init__(message)
        self.line = line


@dataclass
class _Token:
    kind: str
    text: str
    line: int
    start: int
    end: int


class _Reader:
    def __init__(self, text: str, path: Path):
        self.path = path
        self.tokens = list(_tokens(text))
        self.at = 0
        self.open: list[int] = []  # the lines of what is not closed yet

    def peek(self) -> _Token:
        return self.tokens[self.at]

    def next(self) -> _Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def took(self, *marks: str) -> bool:
        if self.peek().kind == "mark" and self.peek().text in marks:
            self.next()
            return True
        return False

    def message(self, closer: str) -> list[Node]:
        fields: list[Node] = []
        while True:
            token = self.next()
            if token.text == closer and token.kind in ("mark", "end"):
                return fields
            if token.kind == "end":
                raise TextProtoError(
                    self.open[-1], f"what is opened here is closed nowhere: `{closer}` is missing"
                )
            if token.text == "[" and token.kind == "mark":
                token = self.name_of_any(token)
            elif token.kind != "word" or not re.fullmatch(r"[A-Za-z_]\w*", token.text):
                raise _expected(f"a field name or `{closer}`" if closer else "a field name", token)
            fields.extend(self.values(token))
            self.took(",", ";")

    def name_of_any(self, opener: _Token) -> _Token:
        words = []
        while not self.took("]"):
            token = self.next()
            if token.kind not in ("word", "mark") or token.text in _OPENERS:
                raise _expected("`]` after a type", token)
            words.append(token.text)
        name = "".join(words)
        if not _TYPE.fullmatch(name):
            raise TextProtoError(
                opener.line, f"[{name}] is no type, such as [type.googleapis.com/package.Message]"
            )
        return _Token("word", f"[{name}]", opener.line, opener.start, opener.end)

    def values(self, name: _Token) -> Iterator[Node]:
        colon = self.took(":")
        if not self.took("["):
            yield self.one(name, colon)
            return
        if not colon and self.peek().text == "]":
            raise TextProtoError(self.peek().line, f"expected `:` after {name.text}, found `[`")
        while not self.took("]"):
            yield self.one(name, colon)
            if not self.took(",") and self.peek().text != "]":
                raise _expected(f"`,` or `]` in the list {name.text}", self.peek())

    def one(self, name: _Token, colon: bool) -> Node:
        token = self.next()
        node = Node(name.text, self.path, name.line, name.start, token.start)
        if token.kind == "mark" and token.text in _OPENERS:
            self.open.append(token.line)
            node.fields = self.message(_OPENERS[token.text])
            self.open.pop()
        elif not colon or token.kind not in ("word", "string"):
            wanted = "a value" if colon else "`:` or `{`"
            advice = ": texts stand in quotes" if token.text == "/" else ""
            raise _expected(f"{wanted} after {name.text}", token, advice)
        else:
            parts = [token.text]
            while token.kind == "string" and self.peek().kind == "string":
                parts.append(self.next().text)
            node.text, node.quoted = token.text, token.kind == "string"
            if node.quoted:
                try:
                    unescaped = b"".join(text_encoding.CUnescape(part[1:-1]) for part in parts)
                except ValueError as error:
                    message = f"the string of {name.text} has a backslash that begins no escape"
                    raise TextProtoError(token.line, message) from error
                node.text = unescaped.decode("utf-8", "replace")
        node.end = self.tokens[self.at - 1].end
        return node


def _tokens(text: str) -> Iterator[_Token]:
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match and text[at] in "\"'":
            raise TextProtoError(line, "a quote is opened or closed that has no partner on this line")
        if not match:
            raise TextProtoError(line, f"cannot read {text[at : text.find(chr(10), at)][:40]!r}")
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match.group(), line, at, match.end())
        line += match.group().count("\n")
        at = match.end()
    yield _Token("end", "", line, at, at)


def _expected(what: str, token: _Token, advice: str = "") -> TextProtoError:
    found = "the end of the file" if token.kind == "end" else f"`{token.text}`"
    return TextProtoError(token.line, f"expected {what}, found {found}{advice}")


def read(text: str, path: Path) -> Node:
    """Parse `text`, which is that of the file at `path`.

    Returns:
        The root, a message without a name.

    Raises:
        TextProtoError: the text is not in text format.
    """
    return Node("", path, 1, 0, 0, len(text), fields=_Reader(text, path).message(""), source=text)


def read_file(path: Path) -> tuple[Node | None, list[Finding]]:
    """The file's tree, or None and the finding that says why not; it quotes nothing where there is a private key."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        data, advice = path.read_bytes(), "save it as UTF-8 without a byte order mark"
        kind = "not UTF-8 text"
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            kind = "UTF-16, as editors on Windows save it"
        elif b"\0" in data:
            kind, advice = "no text", _EXAMPLE
        return None, [Finding(path, 1, kind, advice)]
    return read_text(text, path)


def read_text(text: str, path: Path, first_line: int = 1) -> tuple[Node | None, list[Finding]]:
    """The same for a text that stands in a file from a line on."""
    try:
        return read("\n" * (first_line - 1) + text, path), []
    except TextProtoError as error:
        message, advice = str(error), "see the text format of protocol buffers"
        if "PRIVATE KEY-" in text:
            message = "not in the text format of protocol buffers"
            advice = 'put every line of the PEM text in quotes, with \\n at its end: "...\\n"'
        for sign, kind, remedy in _OTHER_FORMATS:
            if re.search(sign, text):
                message, advice = kind, remedy
        return None, [Finding(path, error.line, message, advice)]


@dataclass(frozen=True)
class HeldText:
    """A text that stands in a manifest in the place of a file, by its key: of a ConfigMap, or a literal.

    `faults` are what is wrong with it where it is meant as text format; then `root` has no fields.
    """

    key: str
    root: Node
    faults: list[Finding]


def read_held(key: str, text: str, path: Path, first_line: int) -> HeldText:
    """The text of a key, which stands in the file at `path` from a line on."""
    root, faults = read_text(text, path, first_line)
    return HeldText(key, root or Node("", path, first_line, 0, 0, source=text), faults)
