"""What a new wanted state changes in a deployment's folder: shown, judged, and written after a yes."""

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from ..check.deployments import wanted_state
from ..errors import ServingConfigError
from ..server.protocol import ModelServerConfig
from . import files as deployment_files
from . import folder
from .contents import models_config_text
from .files import MODELS_CONFIG
from .plan import Plan
from .wanted import Wanted

_STABLE = "stable"
_SECRET = "tls/ssl.config"


@dataclass(frozen=True)
class Changes:
    """New texts for a folder, beside those that are there.

    Attributes:
        files: what is to be there, by path below the folder.
        there: what is there now, of these and of those that were rendered before and are no longer wanted.
        last: what the last command wrote: `files`, their hashes, and `plan`, what they were made for.
    """

    wanted: Wanted
    plan: Plan
    files: Mapping[str, str] = field(repr=False)  # with the key of TLS
    there: Mapping[str, str] = field(repr=False)
    last: Mapping[str, Any]

    @property
    def changed(self) -> list[str]:
        """The files that become new or other ones, and those that go."""
        names = sorted({*self.files, *self.there})
        return [name for name in names if self.files.get(name) != self.there.get(name)]

    def difference(self) -> str:
        """The change as a unified diff; a private key is not shown."""
        lines: list[str] = []
        for name in self.changed:
            before, after = self.there.get(name, ""), self.files.get(name, "")
            if name == _SECRET:
                lines.append(f"{name} changes (not shown: it holds a key)")
                continue
            old, new = (text.splitlines() for text in (before, after))
            lines += difflib.unified_diff(old, new, f"{name} (now)", f"{name} (then)", lineterm="", n=1)
        return "\n".join(lines)

    def by_hand(self) -> list[str]:
        """The files that would change and are no longer as they were rendered."""
        known = self.last.get("files", {})
        return [
            name
            for name in self.changed
            if name in self.there
            and name != wanted_state.FILE
            and known.get(name) != wanted_state.text_hash(self.there[name])
            and (name != MODELS_CONFIG or self._is_lost(name))
        ]

    def _is_lost(self, name: str) -> bool:
        """Whether models.config would lose more than its comments keep: what was written into it by hand."""
        there, after = self.there[name], self.files.get(name)
        known = self.last.get("meanings", {}).get(name)
        if known is not None and wanted_state.meaning(name, there) != known:
            return True
        if after is None:
            return False
        return models_config_text.edited(there, text_format.Parse(after, ModelServerConfig())) is None

    def losses(self) -> list[str]:
        """What callers, or the operator, had and would have no more, in words."""
        before, after = self.last.get("plan") or {}, {**summary(self.plan), "targets": self.wanted.targets}
        return list(_losses(before, after)) if set(summary(self.plan)) <= set(before) else []

    def confirm(self, yes: bool, force: bool) -> None:
        """Return when the change may be written.

        Raises:
            ServingConfigError: it loses something, or overwrites what was changed by hand, without `force`; or
                nobody said yes.
        """
        out = self.wanted.out
        if force or not self.there:
            return
        by_hand, losses = self.by_hand(), self.losses()
        if by_hand and self.wanted.is_new:
            raise ServingConfigError(
                f"{out / by_hand[0]} is there: --force replaces it, or choose another --out"
            )
        if by_hand and not self.last:
            raise ServingConfigError(
                f"{out / wanted_state.RECORD} is not there or not readable, so what was changed by hand is not known: "
                f"bring it back; --force overwrites {', '.join(by_hand)}"
            )
        if by_hand:
            raise ServingConfigError(
                f"{out / by_hand[0]} is not as it was rendered: what is yours belongs into docker-compose.override.yml "
                f"or patches/*.yaml, which are left alone; --force overwrites {', '.join(by_hand)}"
            )
        if losses:
            raise ServingConfigError(
                f"this would lose something: {', '.join(losses)}; --force does it all the same"
            )
        if yes or not self.changed:
            return
        if not sys.stdin.isatty():
            raise ServingConfigError("nothing was written: --yes writes the difference that is shown above")
        print("write this? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise ServingConfigError("nothing was written")

    def write(self) -> None:
        """Write the new texts, and take away what was rendered before and is no longer wanted.

        Raises:
            ServingConfigError: the folder cannot be written.
        """
        out = self.wanted.out
        record = {
            "about": "What slimserve rendered here last. Keep it beside slimserve.yaml.",
            "plan": {**summary(self.plan), "targets": self.wanted.targets},
            "files": {name: wanted_state.text_hash(text) for name, text in sorted(self.files.items())},
            "meanings": {name: wanted_state.meaning(name, self.files[name]) for name in wanted_state.EDITED},
        }
        text = json.dumps(record, indent=2) + "\n"
        new = {name: self.files[name] for name in self.changed if name in self.files}
        folder.write(out, {**new, wanted_state.RECORD: text}, private=deployment_files.PRIVATE)
        folder.remove(out, [name for name in self.there if name not in self.files])


def changes(wanted: Wanted, plan: Plan) -> Changes:
    """What the wanted state changes in its folder."""
    out = wanted.out
    files = deployment_files.render(wanted, plan)
    last = wanted_state.rendered(out)
    names = {*files, *last.get("files", {})}
    there = {name: text for name in sorted(names) if (text := _text(out / name)) is not None}
    return Changes(wanted, plan, files, there, last)


def summary(plan: Plan) -> dict[str, Any]:
    """What of a plan its callers and its operator feel."""
    return {
        "replicas": plan.replicas,
        "cpu": str(plan.cores),
        "memory": plan.memory_bytes,
        "gpus": plan.gpus,
        "tls": plan.tls is not None,
        "client_ca": plan.tls is not None and plan.tls.client_ca is not None,
        "built_image": plan.built_image if plan.built_is_tagged else None,
        "models": {m.name: {"versions": list(m.versions), "labels": dict(m.labels)} for m in plan.models},
    }


def _losses(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if before["tls"] and not after["tls"]:
        yield "TLS"
    elif before["client_ca"] and not after["client_ca"]:
        yield "the certificates that callers must show"
    for key, unit in (("replicas", ""), ("cpu", ""), ("memory", " bytes"), ("gpus", "")):
        if float(after[key]) < float(before[key]):
            yield f"{key} {before[key]} become {after[key]}{unit}"
    for target in before.get("targets", []):
        if target not in after["targets"]:
            yield f"the files for {target}"
    for name, model in before["models"].items():
        if name not in after["models"]:
            yield f"the model {name}"
            continue
        there = after["models"][name]
        for label, version in model["labels"].items():
            if label not in there["labels"]:
                yield f"the label {label} of {name}"
            elif label == _STABLE and version not in there["versions"]:
                yield f"version {version} of {name}, which is {label}: callers of it would get {there['labels'][label]}"
    image = before["built_image"]
    if image is not None and image == after["built_image"]:
        versions = [[model["versions"] for model in plan["models"].values()] for plan in (before, after)]
        if versions[0] != versions[1]:
            yield f"the versions that fit {image}: name the image that holds the new ones with --built-image"


def _text(path: Path) -> str | None:
    try:
        # A checkout on Windows has other line ends.
        return path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return None
