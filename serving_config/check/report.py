"""What `check` found, as lines, JSON, JUnit's XML or SARIF."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .finding import Finding, Result, shorten

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_NAME = "slimserve check"


def lines(result: Result) -> str:
    """A line for each fault; notes and the outcome go to stderr."""
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    count = len(result.findings)
    outcome = "no fault" if not count else f"{count} fault{'s' * (count > 1)}"
    print(f"{outcome} in {len(result.files)} file{'s' * (len(result.files) != 1)}", file=sys.stderr)
    return "".join(f"{finding}\n" for finding in result.findings)


def as_json(result: Result) -> str:
    """One object: the files, the findings and the notes."""
    found = {
        "files": [str(path) for path in result.files],
        "findings": [_record(finding) for finding in result.findings],
        "notes": result.notes,
    }
    return json.dumps(found, indent=2) + "\n"


def junit(result: Result) -> str:
    """A test case for each file, which fails by its faults; notes are what the suite printed."""
    faults: dict[Path, list[Finding]] = defaultdict(list)
    for finding in result.findings:
        faults[finding.path].append(finding)
    files = list(dict.fromkeys([*result.files, *faults]))
    suite = ElementTree.Element(
        "testsuite", name=_NAME, tests=str(len(files)), failures=str(len(faults)), errors="0"
    )
    for path in files:
        case = ElementTree.SubElement(suite, "testcase", classname=_NAME, name=shorten(path))
        if faults[path]:
            failure = ElementTree.SubElement(case, "failure", message=faults[path][0].message)
            failure.text = "\n".join(map(str, faults[path]))
    ElementTree.SubElement(suite, "system-out").text = "\n".join(result.notes)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode") + "\n"


def sarif(result: Result) -> str:
    """SARIF 2.1.0, for code hosts that show findings beside the lines."""
    results: list[dict[str, Any]] = [
        {
            "ruleId": "fault",
            "level": "error",
            "message": {"text": f"{finding.message}, {finding.advice}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": Path(shorten(finding.path)).as_posix()},
                        "region": {"startLine": max(finding.line, 1)},
                    }
                }
            ],
        }
        for finding in result.findings
    ]
    results += [
        {"ruleId": "note", "level": "note", "message": {"text": note}, "locations": []}
        for note in result.notes
    ]
    rules = [{"id": "fault"}, {"id": "note"}]
    runs = [{"tool": {"driver": {"name": _NAME, "rules": rules}}, "results": results}]
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


FORMATS: dict[str, Callable[[Result], str]] = {
    "lines": lines,
    "json": as_json,
    "junit": junit,
    "sarif": sarif,
}


def _record(finding: Finding) -> dict[str, object]:
    return {
        "file": shorten(finding.path),
        "line": finding.line,
        "message": finding.message,
        "advice": finding.advice,
    }
