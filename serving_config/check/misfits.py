"""Where a file departs from its JSON schema, in words that say what to write, on the line of the field itself."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from .finding import Finding, joined

_WORDS = {
    "string": "text, in quotes where it looks like a number or a truth value",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping, name: value",
    "boolean": "true or false",
}


class Document(Protocol):
    """A file that knows its lines."""

    def fault(self, message: str, advice: str, *keys: str | int) -> Finding:
        """A finding on the line of the value along a path of keys."""


def findings(
    document: Document, error: Any, see: str, above: tuple[str, ...] = (), known: Iterable[str] = ()
) -> Iterator[Finding]:
    """What one error of a schema means.

    Args:
        see: where all of it is explained.
        above: where in the document the data stands that was held to the schema.
        known: fields that may have been meant, beside those of the schema.
    """
    path = (*above, *error.absolute_path)
    where = ".".join(str(part) for part in path) or "the file"
    schema = error.schema if isinstance(error.schema, dict) else {}
    unknown = _unknown(error, schema)
    for name in unknown:
        close = difflib.get_close_matches(str(name), [*schema.get("properties", {}), *known], n=1)
        advice = f"did you mean {close[0]}?" if close else see
        yield document.fault(f"{where} has no field {name}", advice, *path, name)
    if unknown:
        return
    message, advice = f"{where}: {error.message[:200]}", see
    if error.validator == "type":
        kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        message = f"{where} is {repr(error.instance)[:60]}"
        advice = f"give it {joined((_WORDS[kind] for kind in kinds if kind in _WORDS), 'or')}"
    elif error.validator == "enum":
        close = difflib.get_close_matches(str(error.instance), map(str, error.validator_value), n=1)
        message = f"{where} is {repr(error.instance)[:60]}"
        advice = f"did you mean {close[0]}?" if close else f"write {joined(error.validator_value, 'or')}"
    elif error.validator == "pattern" and schema.get("examples"):
        message, advice = (
            f"{where} is {error.instance!r}",
            f"write it such as {joined(schema['examples'], 'or')}",
        )
    elif error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        message, advice = f"{where} lacks {joined(missing)}", f"add it: {see}"
    yield document.fault(message, advice, *path)


def _unknown(error: Any, schema: dict[str, Any]) -> list[str]:
    """The fields that the schema does not know, where that is the error."""
    if (
        error.validator not in ("additionalProperties", "unevaluatedProperties")
        or error.validator_value is not False
    ):
        return []
    if error.validator == "unevaluatedProperties":  # it may know the others by other schemas, and says so
        return re.findall(r"'([^']+)'", error.message.partition("(")[2])
    patterns = schema.get("patternProperties", {})
    return [
        name
        for name in error.instance
        if name not in schema.get("properties", {})
        and not any(re.search(pattern, name) for pattern in patterns)
    ]
