"""A Service for each Function that asks for one: `http://{name}.{namespace}.svc`.

It is an alias of the gateways' own Service, which sees by the Host which function is meant. A
Service cannot select pods of another namespace, and an alias needs no upkeep when gateways come
and go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from jupyter_faas.gateway.store.sight import Key, Sight
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import (
    API_VERSION,
    FUNCTION_LABEL,
    MANAGED_LABEL,
    MANAGER,
)

CHECK_S = 30.0
"""Between two looks at what is there: a Service that somebody deleted comes back."""
_log = logging.getLogger(__name__)


class FunctionServices:
    """Keeps the Services of functions.

    Args:
        api: Where.
        sight: Knows which functions ask for one.
        namespaces: Where functions are.
        target: DNS name of the gateways' Service.
        owns: Whether a function is this gateway's.
        say: Tells something of a function: type, reason and message of an Event.
    """

    def __init__(
        self,
        api: KubeApi,
        sight: Sight,
        namespaces: Sequence[str],
        target: str,
        owns: Callable[[str, str], bool],
        say: Callable[[Key, str, str, str], None],
    ) -> None:
        self._say = say
        self._taken: set[Key] = set()
        self._api = api
        self._sight = sight
        self._namespaces = namespaces
        self._target = target
        self._owns = owns
        self._there: dict[Key, Object] = {}
        self._dirty: set[Key] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop; Services stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def is_taken(self, key: Key) -> bool:
        """Return whether a function cannot have its Service: one of that name is not its own."""
        return key in self._taken

    def look(self, key: Key) -> None:
        """See soon that a function has the Service it asks for, or none."""
        if self._is_wanted(key) != (key in self._there):
            self._dirty.add(key)
            self._wake.set()

    async def _follow(self) -> None:
        while True:
            try:
                await self._list()
                while True:
                    await self._settle()
                    async with asyncio.timeout(CHECK_S):
                        await self._wake.wait()
                    self._wake.clear()
            except TimeoutError:
                continue
            except KubeError as error:
                _log.warning("the Services of functions cannot be kept: %s", error)
                await asyncio.sleep(CHECK_S / 10)
            except Exception:
                # One odd Service must not end the care for all others.
                _log.exception("the Services of functions cannot be kept")
                await asyncio.sleep(CHECK_S)

    async def _list(self) -> None:
        there = {}
        for namespace in self._namespaces:
            path = path_of("services", namespace)
            found = await self._api.get(path, labelSelector=f"{MANAGED_LABEL}={MANAGER}")
            for one in found.get("items") or ():
                if name := (one["metadata"].get("labels") or {}).get(FUNCTION_LABEL):
                    there[namespace, name] = one["spec"]
        self._there = there
        for key in {*self._sight.functions, *there}:
            is_right = there.get(key, {}).get("externalName") == self._target
            if self._is_wanted(key) != (key in there and is_right):
                self._dirty.add(key)

    async def _settle(self) -> None:
        while self._dirty:
            key = self._dirty.pop()
            if not self._owns(*key):
                continue
            try:
                await self._settle_one(key)
            except KubeError as error:
                if error.is_passing:
                    raise
                self._say(key, "Warning", "NoService", f"It gets no Service: {error}")

    async def _settle_one(self, key: Key) -> None:
        path = path_of("services", key[0], key[1])
        if not self._is_wanted(key):
            self._taken.discard(key)
            if key in self._there:
                await self._api.delete(path)
                del self._there[key]
            return
        found = await self._api.find(path)
        if found is not None and not is_ours(found, key):
            if key not in self._taken:
                self._taken.add(key)
                self._say(
                    key,
                    "Warning",
                    "NoService",
                    f"There is a Service `{key[1]}` that is not this function's: it stays as it "
                    "is. The function is called at the gateway, or takes another name.",
                )
            return
        uid = self._sight.functions[key].uid
        applied = await self._api.apply(path, service_body(key, uid, self._target))
        self._there[key] = applied["spec"]
        if key in self._taken:
            self._taken.discard(key)
            self._say(key, "Normal", "ServiceMade", f"It has its Service `{key[1]}` now.")

    def _is_wanted(self, key: Key) -> bool:
        seen = self._sight.functions.get(key)
        is_there = seen is not None and seen.spec is not None and not seen.is_deleting
        return is_there and seen is not None and seen.spec is not None and bool(seen.spec.expose)


def is_ours(service: Object, key: Key) -> bool:
    """Return whether a Service was made for this function, and by us."""
    labels = service["metadata"].get("labels") or {}
    return labels.get(MANAGED_LABEL) == MANAGER and labels.get(FUNCTION_LABEL) == key[1]


def service_body(key: Key, uid: str, target: str) -> Object:
    """Return the Service of a function, which goes with it."""
    owner = {"apiVersion": API_VERSION, "kind": "Function", "name": key[1], "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": key[1],
            "namespace": key[0],
            "labels": {MANAGED_LABEL: MANAGER, FUNCTION_LABEL: key[1]},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": False}],
        },
        "spec": {
            "type": "ExternalName",
            "externalName": target,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http"}],
        },
    }
