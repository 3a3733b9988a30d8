"""Pages of a Jupyter server that watch a cluster's gateways: by address, and through kubeconfig."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from jupyter_faas.server.hub import Hub
from jupyter_faas.server.page import Page
from jupyter_faas.server.place import Place
from tests.cluster.system import System, inline

HELLO = "def watched(name='world'):\n    return f'hello {name}'\n"
PAGES = 5

pytestmark = pytest.mark.timeout(300)


class Told:
    """A page without a browser: what it was told."""

    def __init__(self, hub: Hub) -> None:
        self.messages: list[dict[str, Any]] = []
        self.page = Page(hub, self._take, lambda _reason: None)

    async def _take(self, message: bytes) -> None:
        self.messages.append(msgspec.json.decode(message))

    @property
    def status(self) -> str:
        return next(m["gateway"]["state"] for m in reversed(self.messages) if "gateway" in m)

    @property
    def epoch(self) -> str:
        states = [m["state"]["epoch"] for m in self.messages if m["type"] == "snapshot"]
        return states[-1] if states else ""

    def events(self, kind: str) -> list[dict[str, Any]]:
        told = [one for m in self.messages for one in m.get("events", ())]
        return [one for one in told if one["kind"] == kind and one["function"] == "watched"]


async def until(look: Callable[[], Any], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.05)


@pytest.fixture(params=["by address", "through kubeconfig"])
def place(system: System, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    settings = {
        "FAAS_GATEWAY_URL": f"http://{system.address[0]}:{system.address[1]}",
        "FAAS_GATEWAY_TOKEN": system.token,
        "FAAS_NAMESPACE": system.namespace,
        "FAAS_SYSTEM_NAMESPACE": system.system,
    }
    if request.param != "by address":
        settings["FAAS_GATEWAY_URL"] = "kubernetes"
        monkeypatch.delenv("FAAS_GATEWAY_TOKEN", raising=False)
        del settings["FAAS_GATEWAY_TOKEN"]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Place()


async def test_pages_see_what_kubectl_does_whichever_gateway_answers(
    place: Place, system: System
) -> None:
    hub = Hub(place)
    told = [Told(hub) for _ in range(PAGES)]
    try:
        for one in told:
            one.page.open()
        await until(lambda: all(one.epoch for one in told), "every page has the state")
        await until(lambda: {one.status for one in told} == {"live"}, "every page is live")
        assert hub.status.provider == "kubernetes"
        # Two gateways have numbers of their own: all pages follow one of them.
        await until(lambda: len({one.epoch for one in told}) == 1, "all follow one gateway")
        await asyncio.to_thread(system.apply, inline("watched", HELLO))
        await until(
            lambda: all(
                any(e["value"]["state"] == "ready" for e in one.events("replica")) for one in told
            ),
            "every page sees its first replica",
        )
        gateway = await place.reach(may_start=False)
        path = gateway.call_path("watched")
        connection, answer = await gateway.aio.open("POST", path, (), (b"{}",))
        assert (answer.status, await answer.read()) == (200, b"hello world")
        connection.close()
        await asyncio.to_thread(system.delete, "watched")
        await until(lambda: all(one.events("deleted") for one in told), "every page sees it go")
        for one in told:
            numbers = [e["seq"] for m in one.messages for e in m.get("events", ())]
            assert numbers == sorted(numbers)
    finally:
        for one in told:
            one.page.close()
        await hub.close()
        await asyncio.to_thread(system.delete, "watched")
