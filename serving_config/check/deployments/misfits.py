"""Where a file departs from its JSON schema, in words that say what to write, on the line of the field itself."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..finding import Finding, joined, meant
from .yaml_file import Document

_WORDS = {
    "string": "text, in quotes where it looks like a number or a truth value",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping, name: value",
    "boolean": "true or false",
}


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
        advice = meant(name, [*schema.get("properties", {}), *known], see)
        yield document.fault(f"{where} has no field {name}", advice, *path, name)
    if unknown:
        return
    message, advice = f"{where}: {error.message[:200]}", see
    if error.validator == "type":
        kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        message = f"{where} is {repr(error.instance)[:60]}"
        advice = f"give it {joined((_WORDS[kind] for kind in kinds if kind in _WORDS), 'or')}"
    elif error.validator == "enum":
        message = f"{where} is {repr(error.instance)[:60]}"
        advice = meant(error.instance, error.validator_value, f"write {joined(error.validator_value, 'or')}")
    elif error.validator == "pattern" and schema.get("examples"):
        message = f"{where} is {error.instance!r}"
        advice = f"write it such as {joined(schema['examples'], 'or')}"
    elif error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        message, advice = f"{where} lacks {joined(missing)}", f"add it: {see}"
    yield document.fault(message, advice, *path)


def _unknown(error: Any, schema: dict[str, Any]) -> list[str]:
    """The fields that the schema does not know, where that is the error."""
    refuses_others = error.validator in ("additionalProperties", "unevaluatedProperties")
    if not refuses_others or error.validator_value is not False:
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
