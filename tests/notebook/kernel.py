"""A real kernel, driven as a notebook front end drives one, with outputs kept by cell."""

from __future__ import annotations

import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from queue import Empty
from typing import Any

from jupyter_client.manager import KernelManager

Message = dict[str, Any]

_ENDED = re.compile(r"ready in|live already|✕ (?:not|interrupted)")
"""What stands on a deployment card that moves no more."""


class Kernel:
    """One running kernel.

    Attributes:
        outputs: iopub messages by the id of the cell they belong to.
        interrupted_s: Wall clock of the last interrupt.
    """

    def __init__(self, manager: KernelManager) -> None:
        self._manager = manager
        self.client = manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.outputs: dict[str, list[Message]] = defaultdict(list)
        self.interrupted_s = 0.0

    def start(self, code: str, cell_id: str = "") -> str:
        """Begin to run a cell; return its message id."""
        message = self.client.session.msg(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": True,
                "stop_on_error": True,
            },
        )
        message["metadata"] = {"cellId": cell_id}
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def finish(self, cell: str, timeout_s: float = 60.0) -> None:
        """Collect output until a cell is idle; raise what it raised."""
        deadline = time.monotonic() + timeout_s
        while not any(_is_idle(message) for message in self.outputs[cell]):
            self.collect(max(0.0, deadline - time.monotonic()))
        for message in self.outputs[cell]:
            if message["msg_type"] == "error":
                raise AssertionError("\n".join(message["content"]["traceback"]))

    def run(self, code: str, cell_id: str = "", timeout_s: float = 60.0) -> str:
        """Run a cell to its end; return its message id."""
        cell = self.start(code, cell_id)
        self.finish(cell, timeout_s)
        return cell

    def value(self, code: str) -> str:
        """Return the text of an expression's result."""
        cell = self.run(code)
        for message in self.outputs[cell]:
            if message["msg_type"] == "execute_result":
                return str(message["content"]["data"]["text/plain"])
        return ""

    def error(self, code: str) -> Message:
        """Return the error a cell ends with."""
        cell = self.start(code)
        with contextlib.suppress(AssertionError):
            self.finish(cell)
        errors = [m["content"] for m in self.outputs[cell] if m["msg_type"] == "error"]
        assert errors, f"no error from {code!r}"
        return dict(errors[0])

    def collect(self, timeout_s: float) -> Message:
        """Take one message; a time-out is an `AssertionError`."""
        try:
            message: Message = self.client.get_iopub_msg(timeout=timeout_s)
        except Empty:
            raise AssertionError(f"nothing from the kernel; seen: {dict(self.outputs)}") from None
        message["received_s"] = time.time()
        self.outputs[message["parent_header"].get("msg_id", "")].append(message)
        return message

    def text(self, cell: str, stream: str = "stdout") -> str:
        """Return what a cell has shown on a stream."""
        return "".join(
            message["content"]["text"]
            for message in self.outputs[cell]
            if message["msg_type"] == "stream" and message["content"]["name"] == stream
        )

    def displays(self, cell: str) -> list[Message]:
        """Return the display messages of a cell."""
        kinds = ("display_data", "update_display_data")
        return [message for message in self.outputs[cell] if message["msg_type"] in kinds]

    def places(self, cell: str) -> list[Message]:
        """Return the display messages of what was printed after the cell's end."""
        return [
            message
            for message in self.displays(cell)
            if message["content"]["transient"].get("display_id", "").startswith("faas-late-")
        ]

    def card(self, cell: str) -> dict[str, str]:
        """Return the card of a cell, once it has ended: another thread may be ending it."""
        while not (ended := self._ended_cards(cell)):
            self.collect(30.0)
        return dict(ended[-1]["content"]["data"])

    def _ended_cards(self, cell: str) -> list[Message]:
        shown = self.displays(cell)
        return [one for one in shown if _ENDED.search(one["content"]["data"].get("text/plain", ""))]

    def late(self, cell: str) -> str:
        """Return what is shown of what was printed after the cell's end."""
        shown = self.places(cell)
        return str(shown[-1]["content"]["data"]["text/plain"]) if shown else ""

    def run_interrupt(self, cell: str) -> None:
        """Interrupt a running cell and wait for its end."""
        self.interrupted_s = time.time()
        self._manager.interrupt_kernel()
        with contextlib.suppress(AssertionError):
            self.finish(cell)
        errors = [m["content"] for m in self.outputs[cell] if m["msg_type"] == "error"]
        assert [error["ename"] for error in errors] == ["KeyboardInterrupt"]

    def is_alive(self) -> bool:
        """Return whether its process runs."""
        return bool(self._manager.is_alive())

    def restart(self) -> None:
        """Restart it as a front end does."""
        self._manager.restart_kernel(now=True)
        self.client.wait_for_ready(timeout=60)

    def stop(self) -> None:
        """End it."""
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()


def _is_idle(message: Message) -> bool:
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"


@contextlib.contextmanager
def kernel(environ: dict[str, str], cwd: str | None = None) -> Iterator[Kernel]:
    """Run a Python kernel with these environment variables."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=environ, cwd=cwd)
    running = Kernel(manager)
    try:
        yield running
    finally:
        running.stop()
