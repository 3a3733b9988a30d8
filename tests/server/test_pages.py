"""What pages are told: a real Jupyter server, a real gateway, its real ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import jupyter_faas as faas
from jupyter_faas.server.outbox import Bounds
from jupyter_faas.server.socket import EventsSocket
from tests.e2e.gateway import Gateway
from tests.server import functions
from tests.server.conftest import ended, kill
from tests.support import wait_for_cards


def is_event(kind: str, function: str = "double", **value: Any) -> Any:
    return lambda one: (
        one["kind"] == kind
        and one["function"] == function
        and value.items() <= one["value"].items()
    )


def deployed(function: Any) -> None:
    """Deploy, and leave no connection of this process behind."""
    function.deploy()
    wait_for_cards()
    faas.gateway().close()


def invoke(gateway: Gateway, name: str, body: Any) -> Any:
    return gateway.call(name, body)


async def test_a_page_is_told_how_it_is_and_then_what_happens(watch, gateway, hub):
    await asyncio.to_thread(deployed, functions.double)
    page = await watch()
    status = await page.until_gateway("live")
    assert (status["provider"], status["url"]) == ("local", gateway.info["url"])
    assert page.messages[0]["type"] == "gateway"
    state = await page.until_snapshot()
    (function,) = state["functions"]
    (revision,) = state["revisions"]
    assert (function["name"], revision["number"]) == ("double", 1)
    assert revision["origin"]["sourceDigest"] == ""
    before = page.count
    await asyncio.to_thread(invoke, gateway, "double", {"x": 1})
    counts = await page.until_event(is_event("counts", ended=1), after=before)
    assert counts["seq"] > state["seq"]
    assert "calls" not in {one["kind"] for m in page.messages for one in m.get("events", ())}
    await asyncio.to_thread(functions.double.delete)
    await page.until_event(is_event("deleted"), after=before)


async def test_single_calls_and_logs_are_told_to_who_asks(watch, gateway):
    await asyncio.to_thread(deployed, functions.double)
    curious, other = await watch(), await watch()
    await curious.say(type="watch", calls=["double"], logs=["double"], max_hz=20)
    await curious.until_snapshot()
    await other.until_snapshot()
    told: dict[str, Any] = {}
    for x in range(100):
        await asyncio.to_thread(invoke, gateway, "double", {"x": x})
        for message in curious.messages:
            for one in message.get("events", ()):
                if one["kind"] == "call":
                    told["call"] = one["value"]
            for line in message.get("lines", ()):
                if line["text"].strip():  # the end of a line may come by itself
                    told["line"] = line
        if len(told) == 2:
            break
        await asyncio.sleep(0.05)
    assert told["call"]["function"] == "double"
    assert told["line"]["text"].startswith("doubling ")
    assert "doubling" not in other.text
    assert '"kind":"call"' not in other.text
    # Who comes later gets the last lines at once, from the same follower.
    await other.say(type="watch", logs=["double"])
    line = await other.until(lambda one: one["lines"][0] if one["type"] == "log" else None)
    assert line["text"].startswith("doubling ")


async def test_what_nobody_wants_is_followed_by_nobody(watch, gateway, hub):
    await asyncio.to_thread(deployed, functions.double)
    page = await watch()
    await page.until_snapshot()
    await page.say(type="watch", calls=["double"], logs=["double"])
    await until(lambda: hub._logs and hub._calls._task, "followed")
    await page.say(type="watch")
    await until(lambda: not hub._logs and hub._calls._task is None, "not followed")


async def test_a_page_that_speaks_nonsense_is_closed_with_a_sentence(watch, gateway):
    for message in ("x", "{}", '{"type":"watch","max_hz":1e9}', '{"type":"watch","logs":["../x"]}'):
        page = await watch()
        await page.socket.write_message(message)
        code, reason = await page.until_closed()
        assert code == 1007
        assert reason.startswith("Not understood: ")


async def test_eight_pages_share_one_stream_and_saving_goes_on(
    watch, gateway, jp_fetch, jp_create_notebook, hub
):
    await asyncio.to_thread(deployed, functions.double)
    jp_create_notebook("some.ipynb")
    pages = [await watch() for _ in range(8)]
    for page in pages:
        await page.until_snapshot()
    # One for events, kept-alive ones for questions; those of who deployed are just closing.
    await until(lambda: connections(gateway) <= 2, "few connections")
    before = time.monotonic()
    answer = await jp_fetch("api", "contents", "some.ipynb")
    model = json.loads(answer.body)
    await jp_fetch("api", "contents", "some.ipynb", method="PUT", body=json.dumps(model))
    assert time.monotonic() - before < 20
    await asyncio.to_thread(invoke, gateway, "double", {"x": 1})
    for page in pages:
        await page.until_event(is_event("counts", ended=1))


async def test_killed_it_is_reconnecting_and_live_again_with_a_new_snapshot(watch, gateway):
    await asyncio.to_thread(deployed, functions.double)
    page = await watch()
    first = await page.until_snapshot()
    mark = page.count
    gateway.processes()
    pid = gateway.pid
    kill(pid)
    status = await page.until_gateway("reconnecting", after=mark)
    assert status["reason"]
    await ended(pid)
    await asyncio.to_thread(gateway.start)
    await page.until_gateway("live", after=mark)
    again = await page.until_snapshot(after=mark)
    assert again["epoch"] != first["epoch"]
    assert [one["name"] for one in again["functions"]] == ["double"]
    mark = page.count
    await asyncio.to_thread(invoke, gateway, "double", {"x": 1})
    await page.until_event(is_event("counts", ended=1), after=mark)


async def test_killed_and_not_started_again_it_is_asleep_and_an_action_wakes_it(
    watch, gateway, ask, monkeypatch
):
    monkeypatch.setattr("jupyter_faas.server.link.RESTART_S", 0.5)
    await asyncio.to_thread(deployed, functions.double)
    page = await watch()
    await page.until_snapshot()
    mark = page.count
    gateway.processes()
    pid = gateway.pid
    kill(pid)
    status = await page.until_gateway("asleep", after=mark)
    assert "ended without a word" in status["reason"]
    stored = await page.until(
        lambda one: one["type"] == "snapshot" and not one["state"]["epoch"] and one["state"],
        after=mark,
    )
    assert [one["name"] for one in stored["functions"]] == ["double"]
    assert json.loads((await ask("POST", "function/double", {"x": 4})).body) == 8
    await page.until_gateway("live", after=mark)
    assert gateway.pid != pid


async def test_unused_it_leaves_while_pages_watch_and_what_it_stored_is_shown(
    watch, gateway, ask, monkeypatch
):
    monkeypatch.setenv("FAAS_IDLE_EXIT_S", "3")
    await asyncio.to_thread(deployed, functions.double)
    pages = [await watch() for _ in range(3)]
    for page in pages:
        await page.say(type="watch", calls=["double"], logs=["double"], max_hz=20)
        await page.until_snapshot()
    pid = gateway.pid
    status = await pages[0].until_gateway("asleep")
    assert status["reason"] == "Nobody used it for a while: it starts with the next call."
    await ended(pid)
    mark = pages[1].count
    late = await watch()
    await late.until_gateway("asleep")
    stored = await late.until_snapshot()
    assert (stored["functions"][0]["state"], stored["replicas"]) == ("ready", [])
    assert stored["revisions"][0]["number"] == 1
    told = json.loads((await ask("GET", "state")).body)
    assert told["gateway"]["state"] == "asleep"
    assert told["state"]["revisions"] == stored["revisions"]
    assert gateway.info["pid"] == 0, "looking has not woken it"
    assert (await ask("POST", "start", b"")).code == 200
    await pages[1].until_gateway("live", after=mark)


async def test_none_until_the_first_one_starts(watch, gateway):
    page = await watch()
    await page.until_gateway("none")
    assert list(gateway.state_dir.iterdir()) == []
    await asyncio.to_thread(deployed, functions.double)
    await page.until_gateway("live")
    await page.until_snapshot()


async def test_a_gateway_that_hangs_is_lost_and_found_again(watch, gateway, monkeypatch):
    monkeypatch.setattr("jupyter_faas.server.link.SILENCE_S", 1.0)
    monkeypatch.setattr("jupyter_faas.server.link.ANSWER_S", 1.0)
    monkeypatch.setenv("FAAS_CONNECT_TIMEOUT_S", "0.5")
    await asyncio.to_thread(deployed, functions.double)
    page = await watch()
    await page.until_snapshot()
    mark = page.count
    os.kill(gateway.pid, signal.SIGSTOP)
    try:
        await page.until(
            lambda one: (
                one["type"] == "gateway"
                and one["gateway"]["state"] == "reconnecting"
                and "has not answered" in one["gateway"]["reason"]
            ),
            after=mark,
        )
    finally:
        os.kill(gateway.pid, signal.SIGCONT)
    await page.until_gateway("live", after=mark)


async def test_a_page_that_does_not_read_holds_a_bounded_amount_and_gets_a_new_snapshot(
    watch, gateway, hub, monkeypatch
):
    monkeypatch.setattr(hub, "bounds", Bounds(things=3))
    await asyncio.to_thread(deployed, functions.double)
    gate = asyncio.Event()
    gate.set()
    send = EventsSocket._send

    async def slowly(self: EventsSocket, message: bytes) -> None:
        await gate.wait()
        await send(self, message)

    monkeypatch.setattr(EventsSocket, "_send", slowly)
    page = await watch()
    first = await page.until_snapshot()
    gate.clear()
    for x in range(3):
        await asyncio.to_thread(invoke, gateway, "double", {"x": x})
        await asyncio.to_thread(deployed, functions.waits)
        await asyncio.to_thread(functions.waits.delete)
    (held,) = hub._pages
    await until(lambda: held.outbox.is_behind, "behind")
    mark = page.count
    gate.set()
    again = await page.until_snapshot(after=mark)
    assert again["seq"] > first["seq"]
    assert again["epoch"] == first["epoch"]
    numbers = [one["seq"] for m in page.messages for one in m.get("events", ())]
    assert numbers == sorted(numbers)


async def test_a_page_that_is_silent_for_too_long_is_dropped(watch, gateway, monkeypatch, hub):
    monkeypatch.setattr("jupyter_faas.server.page.SILENT_S", 5.0)
    silent, alive = await watch(), await watch()
    while not silent.closed:
        await alive.say(type="alive")
        await asyncio.sleep(0.25)
    assert (await silent.until_closed())[1] == "The page has said nothing for too long."
    assert alive.closed is None
    assert len(hub._pages) == 1


async def test_a_page_that_asks_whether_it_is_heard_is_answered(watch, gateway):
    page = await watch()
    await page.until_gateway("none")
    await page.say(type="alive")
    await page.until(lambda one: one["type"] == "alive")


async def test_when_the_last_page_has_gone_nothing_is_held(watch, gateway, hub, monkeypatch):
    monkeypatch.setattr("jupyter_faas.server.hub.LINGER_S", 0.1)
    await asyncio.to_thread(deployed, functions.double)
    page = await watch()
    await page.say(type="watch", calls=["double"], logs=["double"])
    await page.until_snapshot()
    await page.close()
    await until(lambda: hub._link is None and not hub._pages and not hub._logs, "let go")
    await until(lambda: connections(gateway) == 0, "no connection")
    again = await watch()
    await again.until_snapshot()


async def until(look: Any, what: str, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)


def connections(gateway: Gateway) -> int:
    """Return how many connections are open on the gateway's Unix socket (proc_net_unix(5))."""
    path = str(gateway.state_dir / "gateway.sock")
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return sum(row[-1] == path and row[5] == "03" for row in rows)
