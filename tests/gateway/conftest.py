from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.model import (
    Code,
    DeployRequest,
    FunctionSettings,
    Origin,
    Resources,
    RevisionSpec,
    Scaling,
)
from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway import adoption, cluster_auth, forward, http, peers
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.sqlite import SqliteStore
from jupyter_faas.wire.upstream import Answer, Upstream, request
from tests.gateway.fake_front import Call, FakeFront, FakeProvider

TOKEN = "secret-token"


async def until(predicate: Callable[[], Any], what: str = "", timeout_s: float = 20.0) -> Any:
    """Wait until something is true; shows what it waited for."""
    deadline = time.monotonic() + timeout_s
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.001)
    return value


class Bench:
    """A gateway over fake fronts, with what its tests do again and again."""

    def __init__(self, service: GatewayService, provider: FakeProvider) -> None:
        self.service = service
        self.provider = provider
        self.upstream = Upstream(f"127.0.0.1:{service.listeners.port}")
        self.number = 0

    async def deploy(
        self,
        name: str = "f",
        *,
        max_inputs: int = 1,
        settings: FunctionSettings | None = None,
        scaling: Scaling | None = None,
        origin: Origin = Origin(),
        namespace: str = "default",
        **spec: Any,
    ) -> RevisionEntry:
        """Deploy new code; returns its revision, pending."""
        self.number += 1
        digest = f"{self.number:064x}"
        settings = settings or FunctionSettings(scaling=scaling or Scaling(max_containers=2))
        answer = await self.service.registry.deploy(
            namespace,
            name,
            DeployRequest(
                id=digest,
                revision=RevisionSpec(
                    code=Code(digest=digest, size_bytes=1, entry=name, python="3.11"),
                    max_inputs=max_inputs,
                    resources=Resources(memory_mib=64),
                    **spec,
                ),
                settings=settings,
                origin=origin,
                seen=self.number,
                take_over=True,
            ),
        )
        entry = self.service.registry.find(namespace, name)
        assert entry is not None
        return entry.revisions[answer.revision.number]

    async def ready(self, name: str = "f", **arguments: Any) -> FakeFront:
        """Deploy and wait for the first replica; returns its front."""
        entry = await self.deploy(name, **arguments)
        await until(lambda: entry.is_live, "live")
        await until(lambda: self.fronts(entry), "a replica")
        # Calls are answered before the store has it: a gateway that comes later reads the store.
        await self.service.registry._exclusively("default", name, _nothing)
        return self.fronts(entry)[0]

    def entry(self, name: str = "f", number: int = 1) -> RevisionEntry:
        found = self.service.registry.find("default", name)
        assert found is not None
        return found.revisions[number]

    def fronts(self, entry: RevisionEntry) -> list[FakeFront]:
        """Fronts of a revision's ready replicas."""
        pool = entry.pool
        ids = pool.replicas if pool is not None else ()
        return [self.provider.fronts[one] for one in ids if one in self.provider.fronts]

    async def call(
        self,
        name: str = "f",
        body: bytes = b"1",
        headers: dict[str, str] | None = None,
        *,
        method: str = "POST",
        token: str | None = TOKEN,
        path: str | None = None,
    ) -> Answer:
        told = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        if token is not None:
            told.append((b"Authorization", b"Bearer " + token.encode()))
        return await request(
            self.upstream, method, path or f"/function/{name}", told, body, timeout_s=20.0
        )

    def calling(self, *args: Any, **kwargs: Any) -> asyncio.Task[Answer]:
        """Begin a call."""
        return asyncio.ensure_future(self.call(*args, **kwargs))

    def all_calls(self) -> list[Call]:
        return [call for front in self.provider.fronts.values() for call in front.calls]

    async def calls(self, count: int) -> list[Call]:
        """Wait until so many calls have reached fronts whole."""
        return await until(
            lambda: (
                whole
                if len(whole := [one for one in self.all_calls() if one.is_whole]) >= count
                else None
            ),
            f"{count} calls at the fronts",
        )

    async def records(self, count: int) -> list[Any]:
        """Wait until so many invocations are recorded; returns them, newest first."""

        async def found() -> list[Any]:
            return await self.service.store.invocations("default")

        for _ in range(2000):
            records = await found()
            if len(records) >= count:
                return records
            await asyncio.sleep(0.002)
        raise AssertionError(f"{len(records)} of {count} records")

    def ledger(self) -> dict[str, int]:
        return self.service.metrics.ledger()


async def _nothing() -> None:
    """Change nothing: who waits for this waits for the changes before."""


def problem(answer: Answer) -> dict[str, Any]:
    """Read the problem document of an answer."""
    assert answer.header(b"content-type") == b"application/problem+json", answer
    return msgspec.json.decode(answer.body)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for seconds is no peer, API server or replica that is away.

    Tests of what happens after a time-out choose a short one themselves.
    """
    monkeypatch.setattr(forward, "CONNECT_S", 60.0)
    monkeypatch.setattr(http, "LATE_S", 600.0)
    monkeypatch.setattr(peers, "FIRST_S", 60.0)
    monkeypatch.setattr(cluster_auth, "ASK_S", 60.0)
    monkeypatch.setattr(adoption, "PATIENCE_S", 60.0)


@pytest.fixture
def settings() -> Settings:
    return Settings(gateway_token=TOKEN, max_body_bytes=1 << 20, stop_grace_s=0.2)


@pytest.fixture
async def bench(settings: Settings):
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
        settings = msgspec.structs.replace(settings, state_dir=directory)
        provider = FakeProvider(Path(directory))
        store = SqliteStore(Path(directory) / "faas.db", time.time)
        service = GatewayService(settings, provider, store)
        await service.start()
        made = Bench(service, provider)
        yield made
        made.upstream.close()
        await service.stop()
        ledger = service.metrics.ledger()
        assert ledger["accepted"] == sum(
            ledger[name] for name in ("queued", "running", "done", "dead", "cancelled")
        )
