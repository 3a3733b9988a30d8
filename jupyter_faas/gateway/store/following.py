"""Follows the objects of a cluster: two watches per namespace, and the answers to own writes.

What is seen goes into the sight; functions about which there is news are told, once for any number
of changes. Used by the store alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from jupyter_faas.gateway.store.base import StoreEvent
from jupyter_faas.gateway.store.sight import Key, Sight
from jupyter_faas.gateway.store.translation import translated
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, FUNCTIONS, REVISIONS

SYNC_S = 20.0
"""How long the first list of everything may take."""
AGAIN_S = 2.0
"""After a watch was refused: until it is asked for again."""

_log = logging.getLogger(__name__)


class Following:
    """Watches functions and revisions.

    Args:
        api: The cluster.
        namespaces: Where functions are.
        sight: Gets what is seen.
    """

    def __init__(self, api: KubeApi, namespaces: Sequence[str], sight: Sight) -> None:
        self._api = api
        self._namespaces = namespaces
        self._sight = sight
        self._has_news = asyncio.Event()
        self.news: dict[Key, None] = {}
        """Functions to be told about."""
        self.watches: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read everything there is, and begin to watch.

        Raises:
            ProviderError: The objects may not be read, or the API is away.
        """
        synced = []
        for namespace in self._namespaces:
            for plural in (FUNCTIONS, REVISIONS):
                done = asyncio.get_running_loop().create_future()
                synced.append(done)
                self.watches.append(asyncio.create_task(self._follow(namespace, plural, done)))
        try:
            with translated("The functions of the cluster cannot be read"):
                async with asyncio.timeout(SYNC_S):
                    await asyncio.gather(*synced)
        except BaseException:
            await self.close()
            raise
        self.news.clear()

    async def close(self) -> None:
        """Stop to watch."""
        for watch in self.watches:
            watch.cancel()
        await asyncio.gather(*self.watches, return_exceptions=True)
        self.watches.clear()

    async def events(self) -> AsyncIterator[StoreEvent]:
        """Yield what others change. One reader."""
        while True:
            await self._has_news.wait()
            while self.news:
                key = next(iter(self.news))
                del self.news[key]
                yield self._sight.event(key)
            self._has_news.clear()

    async def _follow(self, namespace: str, plural: str, synced: asyncio.Future[None]) -> None:
        """Follow one kind of object in one namespace, for ever once it could be read."""
        while True:
            try:
                await self._watch(namespace, plural, synced)
            except KubeError as error:
                if not synced.done():
                    synced.set_exception(error)
                    return
                _log.error("%s of %s cannot be watched: %s", plural, namespace, error)
            except Exception as error:
                _log.exception("the watch of %s in %s has failed", plural, namespace)
                if not synced.done():
                    synced.set_exception(error)
                    return
            await asyncio.sleep(AGAIN_S)

    async def _watch(self, namespace: str, plural: str, synced: asyncio.Future[None]) -> None:
        async for kind, found in self._api.watch(path_of(plural, namespace, group=API_VERSION)):
            if kind != "SYNCED":
                try:
                    self._see(kind, found, is_function=plural == FUNCTIONS)
                except Exception:
                    # One odd object must not hide the news of all others.
                    _log.exception("an object of %s in %s cannot be read", plural, namespace)
            elif not synced.done():
                synced.set_result(None)
            else:
                await self.lose_what_is_gone(namespace, plural)

    async def lose_what_is_gone(self, namespace: str, plural: str) -> None:
        """After a watch that broke off: nobody tells what was deleted meanwhile."""
        listed = await self._api.get(path_of(plural, namespace, group=API_VERSION))
        uids = {one["metadata"]["uid"] for one in listed.get("items") or ()}
        version = int(listed["metadata"]["resourceVersion"])
        is_function = plural == FUNCTIONS
        for key in self._sight.lose_others(namespace, uids, version, is_function=is_function):
            self._tell(key)

    def _see(self, kind: str, found: Object, *, is_function: bool) -> None:
        if kind == "DELETED":
            if (key := self._sight.lose_object(found)) is not None:
                self._tell(key)
        elif is_function:
            self.saw(found)
        else:
            self.saw_revision(found)

    def saw(self, found: Object) -> None:
        """Take a Function as the API has given it, and tell if that is news.

        Also what answers an own write: it may hold what somebody else has changed just before,
        and the watch's word of that is old news by then.
        """
        meta = found["metadata"]
        if self._sight.see_function(found):
            self._tell((meta["namespace"], meta["name"]))

    def saw_revision(self, found: Object) -> None:
        """Take a FunctionRevision likewise."""
        if (key := self._sight.see_revision(found)) is not None:
            self._tell(key)

    def _tell(self, key: Key) -> None:
        self.news[key] = None
        self._has_news.set()
