"""The reader of panels against a real gateway: one thread and connection while somebody looks."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jupyter_faas as faas
from examples import demo
from jupyter_faas.client import connect
from jupyter_faas.client.embedded import ensure_gateway
from jupyter_faas.client.session import session
from jupyter_faas.client.state_file import load_settings
from jupyter_faas.notebook.feed import Feed
from jupyter_faas.notebook.panel_messages import Message, Wish
from jupyter_faas.notebook.panel_widget import PanelModel
from tests.support import is_alive, state_dir, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    with state_dir("faas-fd-") as path, pytest.MonkeyPatch.context() as patch:
        for name in ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("FAAS_STATE_DIR", str(path))
        patch.setattr(session, "gateway", None)
        yield path
        if session.gateway is not None:
            session.gateway.close()
        demo.end_gateway(path)


@pytest.fixture(scope="module")
def ping(state: Path) -> Any:
    @faas.serverless
    def ping(x: int) -> int:
        print("pong", x)
        return x

    ping.deploy()
    return ping


class Panel:
    """Somebody who looks."""

    def __init__(self, feed: Feed, wish: Wish) -> None:
        self.messages: list[Message] = []
        self.wish = wish
        self.is_looking = True
        self._feed = feed
        feed.watch(self)

    def take(self, message: Message) -> None:
        self.messages.append(message)

    def is_watched(self) -> bool:
        return self.is_looking

    def events(self, kind: str) -> list[Message]:
        return [
            event
            for message in list(self.messages)
            if message["type"] == "events"
            for event in message["events"]
            if event["kind"] == kind
        ]

    def printed(self) -> str:
        """Return all of the logs: a line may come in pieces."""
        logs = [m["lines"] for m in list(self.messages) if m["type"] == "log"]
        return "".join(piece["text"] for lines in logs for piece in lines)

    def states(self) -> list[str]:
        return [m["gateway"]["state"] for m in list(self.messages) if m["type"] == "gateway"]

    def snapshots(self) -> list[Any]:
        return [m["state"] for m in list(self.messages) if m["type"] == "snapshot"]


@pytest.fixture
def feed() -> Iterator[Feed]:
    feed = Feed(connect.running)
    yield feed
    for watcher in list(feed._watchers):
        feed.leave(watcher)
    wait_until(lambda: not own_threads(), seen=own_threads)


def own_threads() -> list[str]:
    """Return the threads of panels: not of late output, nor what waits for the gateway's end."""
    names = [thread.name for thread in threading.enumerate()]
    return [n for n in names if n.startswith("jupyter-faas") and not n.endswith(("late", "child"))]


def test_all_panels_share_one_reader_and_the_last_takes_it_along(feed: Feed, ping: Any) -> None:
    panels = [Panel(feed, Wish("ping")) for _ in range(5)]
    wait_until(lambda: all(panel.snapshots() for panel in panels), 20)
    assert own_threads().count("jupyter-faas-events") == 1
    assert panels[0].snapshots()[-1]["functions"][0]["name"] == "ping"
    for panel in panels[1:]:
        feed.leave(panel)
    assert feed.is_reading
    feed.leave(panels[0])
    wait_until(lambda: not own_threads(), seen=own_threads)
    assert not feed.is_reading


def test_what_happens_is_told_to_who_wants_it(feed: Feed, ping: Any) -> None:
    mine = Panel(feed, Wish("ping", frozenset({"ping"}), frozenset({"ping"})))
    other = Panel(feed, Wish("nobody"))
    wait_until(lambda: mine.snapshots() and other.snapshots(), 20)
    assert ping.remote(41) == 41
    wait_until(lambda: mine.events("call"), seen=lambda: mine.messages)
    assert mine.events("call")[-1]["value"]["outcome"] == "done"
    wait_until(lambda: "pong 41" in mine.printed(), seen=mine.printed)
    wait_until(lambda: mine.events("counts"))
    assert not [m for m in other.messages if m["type"] in ("events", "log")]
    feed.leave(mine)
    wait_until(lambda: "jupyter-faas-log" not in own_threads(), seen=own_threads)


def test_who_is_looked_at_no_more_is_let_go(feed: Feed, ping: Any) -> None:
    panel = Panel(feed, Wish(None))
    wait_until(panel.snapshots, 20)
    panel.is_looking = False
    wait_until(lambda: not own_threads(), seen=own_threads)


def test_a_panel_begins_and_ends_with_its_pages(feed: Feed, ping: Any) -> None:
    sent: list[Message] = []
    model = PanelModel("ping", feed, sent.append, lambda: False)
    for nonsense in (None, 3, {}, {"type": "x"}, {"type": "alive"}):
        model.hear(nonsense)
    model.hear({"type": "watch", "view": "a", "calls": ["ping"], "logs": [], "max_hz": 4})
    wait_until(lambda: [m for m in sent if m["type"] == "snapshot"], 20)
    model.hear({"type": "alive", "view": "b"})
    model.hear({"type": "hidden", "view": "a"})
    model.hear({"type": "hidden", "view": ""})
    assert feed.is_reading
    model.hear({"type": "hidden", "view": "b"})
    wait_until(lambda: not feed.is_reading)
    model.hear({"type": "alive", "view": "b"})
    assert feed.is_reading
    model.close()
    wait_until(lambda: not feed.is_reading)


def test_pages_act_through_the_kernel(feed: Feed, ping: Any, state: Path) -> None:
    sent: list[Message] = []
    model = PanelModel("ping", feed, sent.append, lambda: False)
    acts: list[tuple[str, str, Any, int]] = [
        ("PATCH", "v1/functions/ping/scaling", {"maxContainers": 3}, 200),
        ("POST", "v1/functions/ping/rollback", {}, 404),
        ("GET", "v1/functions/nobody", None, 404),
        ("GET", "../healthz", None, 400),
        ("GET", "v1/../healthz", None, 400),
        ("TRACE", "v1/state", None, 400),
        ("GET", "http://elsewhere/v1/state", None, 400),
        ("POST", "function/ping", {"x": 3}, 200),
    ]
    for number, (method, path, body, _) in enumerate(acts):
        model.hear(
            {"type": "act", "id": number, "view": "v", "method": method, "path": path, "body": body}
        )
    assert [answer["status"] for answer in sent] == [status for *_, status in acts]
    assert [answer["id"] for answer in sent] == list(range(len(acts)))
    assert {answer["view"] for answer in sent} == {"v"}
    assert sent[0]["body"]["maxContainers"] == 3
    token = json.loads((state / "gateway.json").read_text())["token"]
    assert token not in json.dumps(sent)


def test_a_gateway_that_comes_back_is_read_again(feed: Feed, ping: Any, state: Path) -> None:
    panel = Panel(feed, Wish(None))
    wait_until(panel.snapshots, 20)
    pid = int(json.loads((state / "gateway.json").read_text())["pid"])
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    wait_until(lambda: panel.states()[-1] in ("reconnecting", "asleep"), seen=panel.states)
    assert not is_alive(int(json.loads((state / "gateway.json").read_text())["pid"])), (
        "looking has started a gateway"
    )
    before = len(panel.snapshots())
    ensure_gateway(load_settings())  # as the next call would
    wait_until(lambda: len(panel.snapshots()) > before, 20, seen=panel.states)
    assert panel.states()[-1] == "live"
    demo.end_gateway(state)
    wait_until(lambda: panel.states()[-1] == "asleep", seen=panel.states)
