"""What a .dockerignore keeps out of a build.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

import re
from pathlib import Path, PurePosixPath


def leaves_out(source: str, dockerfile: Path, context: Path) -> str | None:
    """The pattern that keeps what COPY names out of the build, None where it is there, or a part of it is."""
    own, general = dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"
    file = own if own.is_file() else general
    lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
    wanted = PurePosixPath("/", source).relative_to("/")
    paths = [str(path) for path in (wanted, *wanted.parents) if str(path) != "."]
    found = None
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        pattern = str(PurePosixPath("/", text.removeprefix("!").strip()).relative_to("/"))
        if text.startswith("!"):
            brings_part = pattern.startswith(("*", f"{wanted}/"))
            found = None if brings_part or any(_matches(pattern, path) for path in paths) else found
        elif any(_matches(pattern, path) for path in paths):
            found = text
    return found


def _matches(pattern: str, path: str) -> bool:
    """Whether a pattern of Go's filepath.Match, in which ** stands for any folders, fits a whole path."""
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]]+\])", pattern)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(
        words.get(part, part if part.startswith("[") and part.endswith("]") else re.escape(part))
        for part in parts
    )
    return bool(re.fullmatch(regex, path))
