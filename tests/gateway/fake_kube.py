"""An API server in memory, as far as gateways use one: versions, generations, owners, watches."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any

from jupyter_faas.providers.kubernetes.api import APPLY_PATCH, KubeApi, KubeError, WatchEvent

Object = dict[str, Any]
_PATH = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<part>[^/]+))?"
)


class FakeKube(KubeApi):
    """One cluster.

    Attributes:
        objects: By plural, namespace and name.
        asked: Method and path of every request.
        refuse: Makes the error of a request, or None.
    """

    def __init__(self) -> None:
        self.namespace = "default"
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.asked: list[tuple[str, str]] = []
        self.is_away = False
        self._versions = count(1)
        self._watchers: list[tuple[str, str, asyncio.Queue[WatchEvent]]] = []

    async def close(self) -> None:
        pass

    async def watch(self, path: str, **query: str) -> AsyncIterator[WatchEvent]:
        namespace, plural, _, _ = _parsed(path)
        events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._watchers.append((plural, namespace, events))
        for one in self._listed(plural, namespace):
            yield WatchEvent("ADDED", copy.deepcopy(one))
        yield WatchEvent("SYNCED", {})
        while True:
            yield await events.get()

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        kind: str = "application/json",
    ) -> Object:
        self.asked.append((method, path))
        await asyncio.sleep(0)
        if self.is_away:
            raise KubeError(0, "Unreachable", "The Kubernetes API does not answer: it is away")
        namespace, plural, name, part = _parsed(path)
        if method == "POST":
            found = self._create(plural, namespace, body)
        elif method == "PATCH":
            found = self._patch(plural, namespace, name, part, body, kind)
        elif method == "DELETE":
            found = self._delete(plural, namespace, name)
        elif name:
            found = self._there(plural, namespace, name)
        else:
            asked = ",".join((query.get("fieldSelector", ""), query.get("labelSelector", "")))
            items = [one for one in self._listed(plural, namespace) if _is_chosen(one, asked)]
            found = {"metadata": {"resourceVersion": str(next(self._versions))}, "items": items}
        return copy.deepcopy(found)

    def _listed(self, plural: str, namespace: str) -> list[Object]:
        return [one for key, one in self.objects.items() if key[:2] == (plural, namespace)]

    def _there(self, plural: str, namespace: str, name: str) -> Object:
        found = self.objects.get((plural, namespace, name))
        if found is None:
            raise KubeError(404, "NotFound", f'{plural} "{name}" not found')
        return found

    def _create(self, plural: str, namespace: str, body: Object) -> Object:
        new = copy.deepcopy(body)
        meta = new.setdefault("metadata", {})
        key = (plural, namespace, meta["name"])
        if key in self.objects:
            raise KubeError(409, "AlreadyExists", f'{plural} "{meta["name"]}" already exists')
        number = next(self._versions)
        meta |= {
            "namespace": namespace, "uid": f"uid-{number}", "resourceVersion": str(number),
            "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        new.pop("status", None)
        if plural == "functions":
            new["spec"].setdefault("scaling", {})
        self.objects[key] = new
        self._tell("ADDED", key, new)
        return new

    def _patch(
        self, plural: str, namespace: str, name: str, part: str, body: Object, kind: str
    ) -> Object:
        if kind == APPLY_PATCH and (plural, namespace, name) not in self.objects:
            return self._create(plural, namespace, body)
        old = self._there(plural, namespace, name)
        wanted = (body.get("metadata") or {}).get("resourceVersion")
        if wanted not in (None, old["metadata"]["resourceVersion"]):
            raise KubeError(409, "Conflict", "the object has been modified")
        told = {"status": body.get("status")} if part == "status" else dict(body)
        if part != "status":
            told.pop("status", None)
        if kind == APPLY_PATCH:
            new = copy.deepcopy(old) | {"spec": copy.deepcopy(body.get("spec"))}
            if plural == "functions":
                new["spec"].setdefault("scaling", {})
        else:
            new = merged(copy.deepcopy(old), told)
        if new == old:
            return old
        new["metadata"]["resourceVersion"] = str(next(self._versions))
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        self.objects[plural, namespace, name] = new
        self._tell("MODIFIED", (plural, namespace, name), new)
        return new

    def _delete(self, plural: str, namespace: str, name: str) -> Object:
        gone = self._there(plural, namespace, name)
        del self.objects[plural, namespace, name]
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell("DELETED", (plural, namespace, name), gone)
        for (kind, space, other), one in tuple(self.objects.items()):
            owners = one["metadata"].get("ownerReferences") or ()
            if any(owner["uid"] == gone["metadata"]["uid"] for owner in owners):
                self._delete(kind, space, other)
        return gone

    def _tell(self, kind: str, key: tuple[str, str, str], found: Object) -> None:
        for plural, namespace, events in self._watchers:
            if (plural, namespace) == key[:2]:
                events.put_nowait(WatchEvent(kind, copy.deepcopy(found)))


def merged(old: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = merged(new.get(name), value)
    return new


def _parsed(path: str) -> tuple[str, str, str, str]:
    match = _PATH.fullmatch(path)
    assert match is not None, path
    return match["namespace"], match["plural"], match["name"] or "", match["part"] or ""


def _is_chosen(found: Object, asked: str) -> bool:
    """Whether an object is what field and label selectors ask for."""
    labels = found["metadata"].get("labels") or {}
    for wish in filter(None, asked.split(",")):
        name, _, value = wish.partition("=")
        field: Any = found
        for part in name.split("."):
            field = (field or {}).get(part) if isinstance(field, dict) else None
        if value not in (field, labels.get(name)):
            return False
    return True
