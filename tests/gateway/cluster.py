"""A gateway as on a cluster, over fake fronts, with a cluster whose RBAC the test writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from jupyter_faas.core.errors import GatewayUnavailable
from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.cluster_auth import ClusterAuthority, Reviewer
from jupyter_faas.gateway.keys import Keys
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.sqlite import SqliteStore
from jupyter_faas.providers.kubernetes.reviews import Identity
from tests.gateway.conftest import Bench
from tests.gateway.fake_front import FakeProvider

KEYS = Keys.make()


class FakeReviewer:
    """A cluster: who bears which token, and who may do what where."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.rules: set[tuple[str, str, str, str]] = set()
        self.asked: list[tuple[str, ...]] = []
        self.is_away = False
        self.gate: asyncio.Event | None = None
        """While it is not set, nobody is answered."""

    def allow(self, user: str, verb: str, namespace: str = "default", part: str = "") -> None:
        self.rules.add((user, verb, namespace, part))

    async def identify(self, token: str) -> Identity | None:
        self.asked.append(("who",))
        await self._answering()
        user = self.users.get(token)
        return None if user is None else Identity(username=user)

    async def may(
        self, who: Identity, verb: str, namespace: str, part: str = "", path: str = ""
    ) -> bool:
        self.asked.append((who.username, verb, namespace, part or path))
        await self._answering()
        return (who.username, verb, namespace, part or path) in self.rules

    async def _answering(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise GatewayUnavailable("away")


class Clock:
    """Monotonic seconds that a test can move."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


class ClusterBench(Bench):
    """A bench whose tokens are a cluster's."""

    def __init__(
        self, service: GatewayService, provider: FakeProvider, reviewer: FakeReviewer, clock: Clock
    ) -> None:
        super().__init__(service, provider)
        self.reviewer = reviewer
        self.clock = clock


@asynccontextmanager
async def cluster_bench(
    provider: FakeProvider | None = None,
    store: Path | None = None,
    *,
    keys: Keys = KEYS,
    reviews: Reviewer | None = None,
    **changes: object,
) -> AsyncIterator[ClusterBench]:
    """Run a gateway; `alice` may do everything in `default`, `bob` is known and may nothing."""
    reviewer, clock = FakeReviewer(), Clock()
    reviewer.users = {"alices": "alice", "bobs": "bob"}
    for verb in ("get", "list", "create", "update", "delete"):
        reviewer.allow("alice", verb)
    reviewer.allow("alice", "create", part="invoke")
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
        settings = msgspec.structs.replace(
            Settings(max_body_bytes=1 << 20, stop_grace_s=0.2, state_dir=directory), **changes
        )
        provider = provider or FakeProvider(Path(directory))
        service = GatewayService(
            settings,
            provider,
            SqliteStore(store or Path(directory) / "faas.db", time.time),
            authority=ClusterAuthority(reviews or reviewer, keys, clock),
            keys=keys,
        )
        await service.start()
        made = ClusterBench(service, provider, reviewer, clock)
        try:
            yield made
        finally:
            made.upstream.close()
            await service.stop()
