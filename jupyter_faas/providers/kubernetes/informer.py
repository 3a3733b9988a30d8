"""What is in some collections of the cluster, kept in memory by watching; and who hears of changes.

One watch per namespace and kind. What a watch says is read into small values at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of

T = TypeVar("T")

_RETRY_S = 5.0
_log = logging.getLogger(__name__)


class Informer(Generic[T]):
    """The objects of one kind in some namespaces.

    Args:
        api: Where they are.
        namespaces: Watched; another one is looked into as well once it exists.
        plural: Kind, e.g. `pods`.
        group: Of the kind; empty: core.
        selector: Labels that they have.
        read: Makes the small value of an object.
        on_change: Called with the value before (None: new) and now (None: gone).
    """

    def __init__(
        self,
        api: KubeApi,
        namespaces: Iterable[str],
        plural: str,
        *,
        selector: str,
        read: Callable[[Object], T],
        on_change: Callable[[T | None, T | None], None],
        group: str = "",
    ) -> None:
        self._api = api
        self._paths = {name: path_of(plural, name, group=group) for name in namespaces}
        self._selector = selector
        self._read = read
        self._on_change = on_change
        self._items: dict[str, dict[str, T]] = {name: {} for name in self._paths}
        self._first: dict[str, asyncio.Future[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch; returns when everything that exists is known.

        Raises:
            ProviderError: It may not be watched, or the API server does not answer.
        """
        loop = asyncio.get_running_loop()
        for namespace in self._paths:
            self._first[namespace] = loop.create_future()
            self._tasks.append(loop.create_task(self._keep_watching(namespace)))
        for namespace, known in self._first.items():
            try:
                await known
            except KubeError as error:
                raise ProviderError(
                    f"The gateway cannot see {self._paths[namespace]}: {error}"
                ) from error

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def get(self, namespace: str, name: str) -> T | None:
        """Return what is known of an object."""
        return self._items.get(namespace, {}).get(name)

    def all(self) -> list[T]:
        """Return everything that is known."""
        return [one for items in self._items.values() for one in items.values()]

    def within(self, namespace: str) -> list[T]:
        """Return everything of one namespace."""
        return list(self._items.get(namespace, {}).values())

    def take(self, stored: Object) -> None:
        """Learn at once what the answer to a change says of an object that is still there.

        Older news than known are dropped.
        """
        meta = stored["metadata"]
        if meta["name"] in self._items.get(meta["namespace"], {}):
            self._put(meta["namespace"], stored)

    async def _keep_watching(self, namespace: str) -> None:
        first = self._first[namespace]
        while True:
            try:
                await self._watch(namespace)
            except KubeError as error:
                if not first.done():
                    first.set_exception(error)
                    return
                _log.warning("the watch of %s has ended: %s", self._paths[namespace], error)
            except Exception as error:
                # One object that cannot be read must not end the news of all others.
                _log.exception("the watch of %s has failed", self._paths[namespace])
                if not first.done():
                    first.set_exception(error)
                    return
            await asyncio.sleep(_RETRY_S)

    async def _watch(self, namespace: str) -> None:
        items = self._items[namespace]
        watched = self._api.watch(self._paths[namespace], labelSelector=self._selector)
        async for event in watched:
            if event.kind == "SYNCED":
                for name in items.keys() - set(event.object["names"]):
                    self._drop(namespace, name)
                if not self._first[namespace].done():
                    self._first[namespace].set_result(None)
                continue
            name = event.object["metadata"]["name"]
            if event.kind == "DELETED":
                self._drop(namespace, name)
                continue
            self._put(namespace, event.object)

    def _put(self, namespace: str, stored: Object) -> None:
        items, name = self._items[namespace], stored["metadata"]["name"]
        before = items.get(name)
        now = self._read(stored)
        if before is not None and _version(now) < _version(before):
            return
        if before != now:
            items[name] = now
            self._on_change(before, now)

    def _drop(self, namespace: str, name: str) -> None:
        before = self._items[namespace].pop(name, None)
        if before is not None:
            self._on_change(before, None)


def _version(item: object) -> int:
    """Return a value's `version` as a number: etcd's count, newer is larger."""
    version = getattr(item, "version", "")
    return int(version) if version.isdecimal() else 0
