"""Following the leader's lease: whatever somebody has written there, it is looked at again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jupyter_faas.providers.kubernetes import lease
from jupyter_faas.providers.kubernetes.lease import Leader


class Api:
    """Has one lease."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.object = {"metadata": {"resourceVersion": "1"}, "spec": spec}
        self.was_asked = asyncio.Event()

    async def find(self, _path: str) -> dict[str, Any]:
        self.was_asked.set()
        return self.object

    async def replace(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.object = body
        return body


async def test_a_lease_that_makes_no_sense_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.01)
    loop = asyncio.get_running_loop()
    api: Any = Api({"holderIdentity": "other", "leaseDurationSeconds": "soon"})
    leader = Leader(api, "space", "own", loop.time, lambda: 1000.0)
    leader.start()
    async with asyncio.timeout(20.0):
        await api.was_asked.wait()
        assert not leader.is_leader
        api.object["spec"] = {}
        while not leader.is_leader:
            api.was_asked.clear()
            await api.was_asked.wait()
            await asyncio.sleep(0)
    await leader.close()
