"""Output of remote calls, published under the cell that made the call.

The only place that knows ipykernel's streams. A call binds the run of its cell; while that goes
on, what it prints is written to ipykernel's own stream with the cell's parent message set for the
moment of the write, so it stays in order with what the cell prints itself. Later it goes into the
place the cell has left for it (`late`).
"""

from __future__ import annotations

import sys
from typing import Any

from jupyter_faas.notebook.cells import CellMemory, RunCell
from jupyter_faas.notebook.late import LateOutput, named
from jupyter_faas.wire.frames import STDERR

FLUSH_INTERVAL_S = 0.04
"""ipykernel collects 0.2 s of output by default; a remote line should be there within 0.1 s."""


class CellOutput:
    """The output sink of a kernel.

    Args:
        kernel: The running `ipykernel` kernel.
        memory: Knows the cell of the calling thread.
    """

    def __init__(self, kernel: Any, memory: CellMemory) -> None:
        self._kernel = kernel
        self._memory = memory

    def bind(self) -> BoundCell:
        """Return the output of the cell that runs here and now."""
        bound = self.place()
        bound.cell.keep(bound)
        return bound

    def place(self) -> BoundCell:
        """Return the same for displays with an id: the cell need not wait for their text."""
        return BoundCell(self._kernel, self._memory.cell())

    def late(self, cell: RunCell) -> LateOutput:
        """Leave a place for what is printed under a cell after its end, below what it printed."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return LateOutput(cell, BoundCell(self._kernel, cell).send)


class BoundCell:
    """Output of one call, under one cell.

    Attributes:
        cell: The run of the cell.
    """

    __slots__ = ("__weakref__", "_kernel", "cell")

    def __init__(self, kernel: Any, cell: RunCell) -> None:
        self._kernel = kernel
        self.cell = cell

    def write(self, stream: int, text: str) -> None:
        """Write to the cell's stdout or stderr; a redirected `sys.stdout` gets it as it is."""
        name = "stderr" if stream == STDERR else "stdout"
        target = getattr(sys, name)
        if not hasattr(target, "pub_thread"):
            target.write(text)
        elif self.cell.has_ended and self.cell.late is not None:
            self.cell.late.write(stream, text)
        elif hasattr(target, "set_thread_parent"):
            target.flush_interval = FLUSH_INTERVAL_S
            token = target.set_thread_parent(self.cell.parent)
            try:
                target.write(text)
            finally:
                target.reset_thread_parent(token)
        else:
            self.send("stream", {"name": name, "text": text}, f"stream.{name}")

    def display(self, bundle: dict[str, Any]) -> None:
        """Publish what the function displayed, after what was written before."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        content = {name: bundle.get(name) or {} for name in ("data", "metadata", "transient")}
        is_update = bool(bundle.get("update"))
        content["metadata"] = {**content["metadata"], **named(content["transient"])}
        late = self.cell.late if self.cell.has_ended else None
        display_id = str(content["transient"].get("display_id", ""))
        if late is not None and (not is_update or late.knows(display_id)):
            # A new display would not be shown any more: its text is.
            late.display(f"{content['data'].get('text/plain', '')}\n", display_id)
        else:
            self.send("update_display_data" if is_update else "display_data", content)

    def send(self, kind: str, content: dict[str, Any], topic: str = "") -> None:
        """Publish a message under the cell; from any thread."""
        # `iopub_socket` hands the message to the kernel's I/O thread.
        self._kernel.session.send(
            self._kernel.iopub_socket,
            kind,
            content,
            parent=self.cell.parent,
            ident=(topic or kind).encode(),
        )
