"""The servers in a Kubernetes workload's containers, and what they take from ConfigMaps, Secrets and claims."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..configs.text_proto import Node
from ..finding import Finding, joined
from ..servers import command_line
from ..servers.described_server import CREDENTIALS, STOCK_IMAGE, DescribedServer, Mount
from ..servers.environment import UNKNOWN, Environment
from .kubernetes import JOBS, Surroundings, pod_keys
from .rules import container_rules, object_references, pod_rules
from .yaml_file import Document, Place, get

_Files = Mapping[str, "Path | Node | None"]

_ALIKE = 0.85
_LABEL = re.compile(r"metadata\.labels\['(.+)'\]")
_OF_STORAGE = "/mnt/models"
"""Where KServe puts the models of the address in STORAGE_URI."""
_OF_EVERY_NAMESPACE = ("kube-root-ca.crt",)
"""A ConfigMap that the cluster makes."""


def servers(document: Document, surroundings: Surroundings) -> tuple[list[DescribedServer], list[Finding]]:
    """The TensorFlow Serving containers of a workload, and faults of each that need no other object."""
    found: list[DescribedServer] = []
    faults: list[Finding] = []
    keys = pod_keys(document)
    pod = get(document.data, *keys) or {}
    for index, container in enumerate(pod.get("containers") or []):
        words = [str(word) for word in (*(container.get("command") or []), *(container.get("args") or []))]
        if command_line.is_server(container.get("image") or "", words):
            here: Place = (*keys, "containers", index)
            server, problems = _server(document, pod, here, container, surroundings)
            faults.extend(problems)
            if server is not None:
                found.append(server)
                faults.extend(container_rules.findings(document, here, container, server))
    if found:
        faults.extend(pod_rules.findings(document, pod, found, surroundings))
        faults.extend(object_references.findings(document, pod, surroundings))
    return found, faults


def _server(
    document: Document,
    pod: dict[str, Any],
    here: Place,
    container: dict[str, Any],
    surroundings: Surroundings,
) -> tuple[DescribedServer | None, list[Finding]]:
    variables = _environment(document, container, surroundings)
    entry, command = (
        [
            (variables.referred(str(word)), document.line(*here, key, at))
            for at, word in enumerate(container.get(key) or [])
        ]
        for key in ("command", "args")
    )
    line, image = document.line(*here), surroundings.image(container.get("image") or "")
    run = command_line.read(entry or None, command, image, variables, document.path, line)
    faults = run.faults
    if run.flags is None:
        return None, faults
    complete = bool(surroundings.kustomizations) and not run.prepares
    server = DescribedServer(document.path, line, image, run.flags, complete=complete, process=run.process)
    server.workdir, server.prepares = container.get("workingDir") or "/", run.prepares
    server.credentials = variables.given.get(CREDENTIALS, "")
    server.is_alone = not run.prepares and document.data["kind"] not in JOBS
    faults.extend(_mount(server, document, pod, here, container, surroundings))
    if document.data["kind"] == "InferenceService" and "STORAGE_URI" in variables.given:
        server.mounts.append(Mount(_OF_STORAGE, None, line))
    faults.extend(_variables(document, here, container, surroundings))
    for probe in container_rules.PROBES:
        if get(container, probe, "grpc"):
            server.grpc_probes.append(document.line(*here, probe))
        script = get(container, probe, "exec", "command")
        if script:
            server.scripts.append((" ".join(map(str, script)), document.line(*here, probe)))
        path = get(container, probe, "httpGet", "path")
        if path:  # the kubelet puts a / before one that has none
            path = f"/{str(path).removeprefix('/')}"
            server.asked_paths.append((path, document.line(*here, probe, "httpGet", "path")))
    return server, faults


def _mount(
    server: DescribedServer,
    document: Document,
    pod: dict[str, Any],
    here: Place,
    container: dict[str, Any],
    surroundings: Surroundings,
) -> Iterator[Finding]:
    volumes = {volume.get("name"): (at, volume) for at, volume in enumerate(pod.get("volumes") or [])}
    for at, mount in enumerate(container.get("volumeMounts") or []):
        where = (*here, "volumeMounts", at)
        target, line = mount.get("mountPath", ""), document.line(*where)
        index, volume = volumes.get(mount.get("name"), (0, {}))  # one that is not there is a fault already
        place: Place = (*pod_keys(document), "volumes", index)
        files, problems = _volume(document, volume, surroundings, place)
        yield from problems
        part = mount.get("subPath")
        polls = server.flags.value("model_config_file_poll_wait_seconds", "0")
        if (
            part
            and "configMap" in volume
            and target == server.target("model_config_file")
            and polls.strip("0")
        ):
            message = "the server looks for changes of a file that is mounted by subPath, which gets none"
            yield document.fault(
                message, "mount the ConfigMap as a folder, without subPath", *where, "subPath"
            )
        if files is None or (part and part not in files):
            stays_empty = "emptyDir" in volume and _is_alone(pod, container, volume["name"])
            server.mounts.append(Mount(target, None, line, stays_empty=stays_empty))
            if files is not None:
                advice = f"it has {joined(files)}"
                yield document.fault(
                    f"subPath names {part}, which {_called(volume)} lacks", advice, *where, "subPath"
                )
        elif part:
            server.mounts.append(_file(target, files[part], line, is_file=True))
        else:
            server.mounts.extend(_file(f"{target}/{name}", held, line) for name, held in files.items())
            server.folders[target.rstrip("/")] = (_called(volume), tuple(files))


def _is_alone(pod: dict[str, Any], container: dict[str, Any], volume: str) -> bool:
    """Whether nothing but the server itself can write into a volume."""
    users = [
        user
        for key in ("initContainers", "containers")
        for user in pod.get(key) or []
        if volume in [mount.get("name") for mount in user.get("volumeMounts") or []]
    ]
    is_server = not command_line.is_shell(container.get("command") or [])
    return is_server and bool(STOCK_IMAGE.match(container.get("image") or "")) and users == [container]


def _file(target: str, held: Path | Node | None, line: int, is_file: bool = False) -> Mount:
    if isinstance(held, Node):
        return Mount(target, None, line, is_file, held)
    return Mount(target, held, line, is_file)


def _called(volume: dict[str, Any]) -> str:
    if "projected" in volume:
        return f"the volume {volume.get('name')}"
    name = get(volume, "configMap", "name")
    return f"the ConfigMap {name}" if name else f"the Secret {get(volume, 'secret', 'secretName')}"


def _claim(document: Document, name: str, surroundings: Surroundings, where: Place) -> Iterator[Finding]:
    """A claim that is not among those of the kustomization, or that several nodes cannot mount."""
    claims = {
        str(get(claim.data, "metadata", "name")): get(claim.data, "spec", "accessModes") or []
        for claim in surroundings.objects
        if claim.data["kind"] == "PersistentVolumeClaim"
    }
    if name not in claims:
        # A claim may be in the cluster already; one here that nothing mounts tells that this one was meant.
        if claims and (surroundings.kustomizations or not surroundings.mounted() & set(claims)):
            message = f"the claim {name} is not there"
            yield document.fault(message, f"the claims are {joined(claims)}", *where)
    elif surroundings.replicas(document) > 1 and not {"ReadWriteMany", "ReadOnlyMany"} & set(claims[name]):
        message = f"the claim {name} is mounted by one node, and there are several replicas"
        advice = "make its accessModes ReadOnlyMany or ReadWriteMany, or put the models in the image"
        yield document.fault(message, advice, *where)


def _volume(
    document: Document, volume: dict[str, Any], surroundings: Surroundings, here: Place
) -> tuple[_Files | None, list[Finding]]:
    """The files of a ConfigMap or Secret that is at hand, None of any other volume; and what is wrong with it."""
    claim = get(volume, "persistentVolumeClaim", "claimName")
    if claim:
        return None, list(_claim(document, claim, surroundings, here))
    for kind, key in (("configMap", "name"), ("secret", "secretName")):
        if get(volume, kind, key):
            return _held(document, volume, kind, volume[kind], surroundings, (*here, kind))
    sources = get(volume, "projected", "sources")
    if not sources:
        return None, []
    whole: dict[str, Path | Node | None] = {}
    faults: list[Finding] = []
    is_known = True
    for at, source in enumerate(sources):
        for kind, given in source.items():
            where: Place = (*here, "projected", "sources", at, kind)
            files: _Files | None
            if kind in ("configMap", "secret"):
                files, problems = _held(document, volume, kind, given, surroundings, where)
                faults.extend(problems)
            else:  # a token, a certificate, what the pod knows of itself
                files = {str(get(item, "path")): None for item in given.get("items") or [given]}
            is_known = is_known and files is not None
            whole.update(files or {})
    return (whole if is_known else None), faults


def _held(
    document: Document,
    volume: dict[str, Any],
    kind: str,
    given: dict[str, Any],
    surroundings: Surroundings,
    where: Place,
) -> tuple[_Files | None, list[Finding]]:
    """The files of one ConfigMap or Secret in a volume."""
    key = "name" if "name" in given else "secretName"
    name, known = str(given.get(key)), surroundings.generated()
    if name not in known:
        what = f"the volume {volume.get('name')} wants {name}"
        return None, list(_missing(document, what, name, kind, given, surroundings, (*where, key)))
    files, items = known[name], given.get("items")
    if not items:
        return files, []
    what = f"the {'ConfigMap' if kind == 'configMap' else 'Secret'} {name}"
    faults = [
        document.fault(
            f"{what} has no key {item['key']}", f"it has {joined(files)}", *where, "items", at, "key"
        )
        for at, item in enumerate(items)
        if item.get("key") not in files and given.get("optional") is not True
    ]
    return {item["path"]: files.get(item["key"]) for item in items}, faults


def _missing(
    document: Document,
    what: str,
    name: str,
    kind: str,
    reference: Any,
    surroundings: Surroundings,
    where: Place,
) -> Iterator[Finding]:
    """A ConfigMap or a Secret that a kustomization does not bring: a Secret may well be in the cluster already."""
    known = surroundings.generated()
    if reference.get("optional") is True or name in _OF_EVERY_NAMESPACE:
        return
    if not surroundings.kustomizations:  # it may be in the cluster, unless one here is nearly called so
        close = difflib.get_close_matches(name, known, 1, _ALIKE)
        if close:
            yield document.fault(f"{what}, which is not there", f"did you mean {close[0]}?", *where)
        return
    is_meant = kind.startswith("configMap") or difflib.get_close_matches(name, known, n=1)
    message, advice = f"{what}, which no kustomization generates", f"they generate {joined(known)}"
    if not is_meant:
        advice = "it has to be in the cluster"
    yield document.fault(message, advice, *where).as_note(not is_meant)


def _environment(document: Document, container: dict[str, Any], surroundings: Surroundings) -> Environment:
    """The container's variables, as far as the ConfigMaps that they come from are at hand."""
    labels = get(document.data, *pod_keys(document)[:-1], "metadata", "labels") or {}
    maps: dict[Any, dict[str, Any]] = {
        str(get(other.data, "metadata", "name")): other.data["data"]
        for other in surroundings.objects
        if other.data["kind"] == "ConfigMap" and isinstance(other.data.get("data"), dict)
    }
    found: dict[str, str] = {}
    # kustomize fills in its own `vars` by the same form.
    complete = not any(each.document.data.get("vars") for each in surroundings.kustomizations)
    for source in container.get("envFrom") or []:
        name, prefix = get(source, "configMapRef", "name"), source.get("prefix") or ""
        found |= {f"{prefix}{key}": str(value) for key, value in maps.get(name, {}).items()}
        complete = complete and name in maps
    for variable in container.get("env") or []:
        origin = variable.get("valueFrom")
        key, label = (get(origin, *keys) for keys in (("configMapKeyRef",), ("fieldRef", "fieldPath")))
        named = _LABEL.fullmatch(str(label))
        if origin is None:
            value = Environment(found, complete).referred(str(variable.get("value") or ""))
        elif named:
            value = labels.get(named[1], UNKNOWN)
        else:
            value = maps.get(get(key, "name"), {}).get(get(key, "key"), UNKNOWN)
        found[variable["name"]] = str(value)
    return Environment(found, complete)


def _variables(
    document: Document, here: Place, container: dict[str, Any], surroundings: Surroundings
) -> Iterator[Finding]:
    """What the environment takes from ConfigMaps and Secrets."""
    known = surroundings.generated()
    for at, source in enumerate(container.get("envFrom") or []):
        for kind in ("configMapRef", "secretRef"):
            name = get(source, kind, "name")
            if name and name not in known:
                where = (*here, "envFrom", at, kind, "name")
                what = f"the environment is taken from {name}"
                yield from _missing(document, what, name, kind, source[kind], surroundings, where)
    for at, variable in enumerate(container.get("env") or []):
        for kind in ("configMapKeyRef", "secretKeyRef"):
            reference = get(variable, "valueFrom", kind) or {}
            name, key = reference.get("name"), reference.get("key")
            where = (*here, "env", at, "valueFrom", kind)
            if name and name not in known:
                what = f"{variable.get('name')} is taken from {name}"
                yield from _missing(document, what, name, kind, reference, surroundings, (*where, "name"))
            elif name and key not in known[name] and reference.get("optional") is not True:
                message = f"{variable.get('name')} is taken from {key}, which {name} lacks"
                yield document.fault(message, f"it has {joined(known[name])}", *where, "key")
