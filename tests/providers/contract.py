"""What every provider does, wherever its replicas live. A test class of one provider inherits it.

The subclass gives the fixtures `provider` (open) and `events` (a `Recorder` that reads `watch`).
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from jupyter_faas.core.errors import EnvironmentMismatch
from jupyter_faas.core.model import Code, Place, Revision, RevisionSpec
from jupyter_faas.core.names import DEFAULT_NAMESPACE
from jupyter_faas.providers.base import (
    Provider,
    ReplicaEvent,
    ReplicaGone,
    ReplicaPending,
    ReplicaStarted,
)

MINOR = ".".join(platform.python_version_tuple()[:2])


def revision(
    place: Place | None = None,
    modules: dict[str, str] | None = None,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    **settings: Any,
) -> Revision:
    """Return a revision; a provider looks at its spec and namespace only."""
    code = Code(digest="0" * 64, size_bytes=1, entry="f", python=MINOR, modules=modules or {})
    return Revision(
        function="f",
        namespace=namespace,
        number=1,
        id="0" * 64,
        spec=RevisionSpec(code=code, place=place, **settings),
        created_at=0.0,
    )


class Recorder:
    """Reads `watch` and remembers; `until` waits for what has not been seen yet."""

    def __init__(self, provider: Provider) -> None:
        self.seen: list[ReplicaEvent] = []
        self._news = asyncio.Condition()
        self._task = asyncio.ensure_future(self._read(provider))

    async def _read(self, provider: Provider) -> None:
        async for event in provider.watch():
            async with self._news:
                self.seen.append(event)
                self._news.notify_all()

    async def until(
        self, predicate: Callable[[ReplicaEvent], bool], timeout_s: float = 20.0
    ) -> ReplicaEvent:
        async with self._news:
            try:
                await asyncio.wait_for(
                    self._news.wait_for(lambda: any(map(predicate, self.seen))), timeout_s
                )
            except TimeoutError:
                raise AssertionError(f"not seen in {timeout_s} s; seen: {self.seen}") from None
        return next(filter(predicate, self.seen))

    async def started(self, replica: str) -> ReplicaStarted:
        found = await self.until(
            lambda event: (
                isinstance(event, ReplicaStarted | ReplicaGone) and event.replica == replica
            )
        )
        assert isinstance(found, ReplicaStarted), found
        return found

    async def gone(self, replica: str) -> ReplicaGone:
        found = await self.until(
            lambda event: isinstance(event, ReplicaGone) and event.replica == replica
        )
        assert isinstance(found, ReplicaGone)
        return found

    async def ended(self) -> None:
        await asyncio.wait_for(self._task, 20.0)

    async def cancel(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def can_connect(address: str) -> bool:
    """Return whether somebody listens at `unix:PATH` or `HOST:PORT`."""
    try:
        if address.startswith("unix:"):  # a file: there is somebody, or there is not
            _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            async with asyncio.timeout(2.0):  # nobody answers for the address of a pod that is gone
                _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


class ProviderContract:
    """Claims that hold for every provider."""

    namespace = DEFAULT_NAMESPACE

    def revision(self, **settings: Any) -> Revision:
        """Return a revision of this namespace."""
        return revision(namespace=self.namespace, **settings)

    @pytest.fixture
    async def events(self, provider: Provider) -> AsyncIterator[Recorder]:
        recorder = Recorder(provider)
        yield recorder
        await recorder.cancel()

    async def test_a_started_replica_can_be_reached(self, provider, events):
        await provider.start(self.revision(), ["a"])
        started = await events.started("a")
        assert await can_connect(started.address)

    async def test_several_replicas_have_addresses_of_their_own(self, provider, events):
        await provider.start(self.revision(), ["a", "b", "c"])
        found = [(await events.started(name)).address for name in "abc"]
        assert len(set(found)) == 3

    async def test_a_stopped_replica_is_gone_once_and_out_of_reach(self, provider, events):
        await provider.start(self.revision(), ["a"])
        started = await events.started("a")
        await provider.stop("a")
        assert (await events.gone("a")).reason == "stopped"
        assert not await can_connect(started.address)
        await provider.stop("a")
        await provider.start(self.revision(), ["b"])
        await events.started("b")
        assert sum(isinstance(event, ReplicaGone) for event in events.seen) == 1

    async def test_a_replica_stopped_before_it_has_started_is_gone(self, provider, events):
        await provider.start(self.revision(), ["a"])
        await provider.stop("a")
        assert (await events.gone("a")).reason == "stopped"

    async def test_an_unknown_replica_is_nobodys_business(self, provider):
        await provider.stop("never-heard-of")

    async def test_pending_says_why(self, provider, events):
        await provider.start(self.revision(), ["a"])
        await events.started("a")
        assert all(event.reason for event in events.seen if isinstance(event, ReplicaPending))

    async def test_the_inventory_names_what_is_installed(self, provider):
        found = await provider.inventory(MINOR, None)
        assert found.python.startswith(MINOR)
        assert "cloudpickle" in found.modules
        assert "cloudpickle" in found.top_level

    async def test_another_python_is_refused(self, provider):
        with pytest.raises(EnvironmentMismatch, match=r"2\.7"):
            await provider.inventory("2.7", None)


class EndsWithItsGateway(ProviderContract):
    """Claims about providers whose replicas live no longer than the provider."""

    async def test_closing_ends_everything(self, provider, events):
        await provider.start(self.revision(), ["a", "b"])
        addresses = [(await events.started(name)).address for name in "ab"]
        await provider.close()
        await events.ended()
        assert [await can_connect(address) for address in addresses] == [False, False]
        assert all([(await events.gone(name)).reason == "stopped" for name in "ab"])

    async def test_nothing_is_known_of_earlier_gateways(self, provider):
        assert await provider.known(self.namespace, "f") == []
