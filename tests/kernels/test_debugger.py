"""The debugger works in a forked kernel: what JupyterLab sends, and that a breakpoint stops."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernels.harness import evaluate, kernel
from tests.notebook.kernel import Kernel
from tests.support import untraced, wait_until

pytestmark = pytest.mark.e2e

CELL = "a = 20\nb = 22\na + b"


class Debugger:
    """Speaks the debug adapter protocol over a kernel's control channel."""

    def __init__(self, running: Kernel) -> None:
        self._running = running
        self._number = 0

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request; return the body of its answer."""
        self._number += 1
        client = self._running.client
        request = {
            "type": "request",
            "seq": self._number,
            "command": command,
            "arguments": arguments,
        }
        client.control_channel.send(client.session.msg("debug_request", request))
        answer = client.get_control_msg(timeout=30)["content"]
        assert answer.get("success", True), answer
        return dict(answer.get("body") or {})

    def events(self) -> list[str]:
        """Return the names of all events so far."""
        messages = [m for shown in self._running.outputs.values() for m in shown]
        return [m["content"]["event"] for m in messages if m["msg_type"] == "debug_event"]


def test_a_breakpoint_stops_a_cell_and_it_goes_on() -> None:
    with untraced(), kernel() as running:
        assert evaluate(running, "__import__('os').getppid()") > 1
        debugger = Debugger(running)
        assert debugger.ask("debugInfo")["isStarted"] is False
        debugger.ask("initialize", clientID="t", adapterID="", pathFormat="path")
        debugger.ask("attach")
        path = debugger.ask("dumpCell", code=CELL)["sourcePath"]
        placed = debugger.ask(
            "setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}], sourceModified=False
        )
        assert placed["breakpoints"][0]["verified"]
        debugger.ask("configurationDone")
        cell = running.start(CELL)
        wait_until(
            lambda: "stopped" in debugger.events() or (running.collect(30) and False), timeout_s=30
        )
        frames = debugger.ask("stackTrace", threadId=1)["stackFrames"]
        assert (frames[0]["line"], frames[0]["source"]["path"]) == (2, path)
        debugger.ask("continue", threadId=1)
        running.finish(cell, 30)
        debugger.ask("disconnect", restart=False, terminateDebuggee=False)
        assert running.value("a + b") == "42"
