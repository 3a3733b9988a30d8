"""What a Jupyter kernel adds to the client: output, cards and origin by cell.

Installed when `jupyter_faas` is imported in a kernel. Costs a few attribute look-ups: IPython and
ipykernel are loaded there already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_faas.client.origin import Cell
from jupyter_faas.client.progress import Progress
from jupyter_faas.client.session import session
from jupyter_faas.notebook.cells import CellMemory, Message
from jupyter_faas.notebook.late import CellEnds
from jupyter_faas.notebook.map_bar import CellMapDisplay
from jupyter_faas.notebook.output import BoundCell, CellOutput
from jupyter_faas.notebook.values import OlderValues
from jupyter_faas.wire.frames import STDERR

if TYPE_CHECKING:
    from jupyter_faas.core.report import Report


@dataclass(frozen=True)
class Installed:
    """What has been put into a kernel."""

    memory: CellMemory
    ends: CellEnds
    values: OlderValues
    shell: Any


def install() -> Installed | None:
    """Make the client of this process speak to cells.

    Returns:
        What `uninstall` takes away; None: this is no running kernel, or it is done already.
    """
    from ipykernel.kernelapp import IPKernelApp  # noqa: PLC0415 - only in a kernel

    if not IPKernelApp.initialized() or isinstance(session.output, CellOutput):
        return None
    app = IPKernelApp.instance()
    kernel = getattr(app, "kernel", None)
    if kernel is None:
        return None
    memory = CellMemory(kernel.get_parent)
    memory.install()
    output = CellOutput(kernel, memory)
    session.output = output
    session.display = CellDisplay(output)
    session.map_display = lambda: CellMapDisplay(output)
    session.cell = lambda: running_cell(kernel, memory)
    # Restarting keeps the connection file: the same kernel to the person, the same origin here.
    session.id = Path(app.connection_file or session.id).stem
    values = OlderValues(
        lambda: kernel.shell.user_ns, lambda kind, content: output.place().send(kind, content)
    )
    installed = Installed(memory, _cell_ends(output, memory, kernel.shell), values, kernel.shell)
    session.panel = _panels(output, installed.ends)
    kernel.shell.events.register("pre_run_cell", installed.ends.before)
    kernel.shell.events.register("post_run_cell", installed.ends.after)
    kernel.shell.events.register("post_run_cell", values.after)
    return installed


def uninstall(installed: Installed) -> None:
    """Put everything back as in a plain process."""
    installed.memory.uninstall()
    installed.shell.events.unregister("pre_run_cell", installed.ends.before)
    installed.shell.events.unregister("post_run_cell", installed.ends.after)
    installed.shell.events.unregister("post_run_cell", installed.values.after)
    session.use_terminal()


def _cell_ends(output: CellOutput, memory: CellMemory, shell: Any) -> CellEnds:
    return CellEnds(
        memory.cell,
        output.late,
        is_expected=lambda: session.gateway is not None or _has_handles(shell.user_ns),
    )


def _panels(output: CellOutput, ends: CellEnds) -> Callable[[str | None], Any]:
    """Return what makes the kernel's panels; loaded when the first is."""

    @cache
    def panels() -> Any:
        from jupyter_faas.notebook.panel import Panels  # noqa: PLC0415 - only for who looks

        return Panels(output.place, lambda: ends.is_running)

    return lambda name: panels().make(name)


def _has_handles(names: dict[str, Any]) -> bool:
    return any(hasattr(type(value), "__faas_handle__") for value in list(names.values()))


def running_cell(kernel: Any, memory: CellMemory) -> Cell:
    """Return the cell that the calling code belongs to."""
    parent = memory.parent()
    content = parent.get("content") or {}
    metadata = parent.get("metadata") or {}
    return Cell(
        cell_id=str(metadata.get("cellId") or ""),
        source=str(content.get("code") or ""),
        number=_prompt_number(kernel, parent),
    )


def _prompt_number(kernel: Any, parent: Message) -> int:
    """Return what stands at the prompt of a cell while it runs; 0: another one runs.

    `shell.execution_count` would not do: IPython 9 counts on before the cell runs, 8 after it.
    """
    if (kernel.get_parent() or {}).get("header") != parent.get("header"):
        return 0
    result = getattr(kernel.shell.displayhook, "exec_result", None)
    return int(getattr(result, "execution_count", None) or 0)


class CellDisplay:
    """The deployment card under the cell that deployed; it updates itself.

    Args:
        output: Knows the cell of the calling thread.
    """

    is_watched = True

    def __init__(self, output: CellOutput) -> None:
        self._output = output
        self._shown: dict[str, BoundCell] = {}
        self._lock = threading.Lock()

    def update(self, progress: Progress) -> None:
        """Show the card with its running step; once it is there, in its place."""
        with self._lock:
            if progress.state != "deploying":
                return  # another call of the function has just ended it
            bound = self._shown.get(progress.key)
            is_shown = bound is not None
            if bound is None:
                bound = self._shown[progress.key] = self._output.place()
            bound.display(_bundle(progress, is_update=is_shown))

    def finish(self, progress: Progress) -> None:
        """Show how it ended, in the card's place if it is there."""
        with self._lock:
            bound = self._shown.pop(progress.key, None)
            if bound is not None:
                bound.display(_bundle(progress, is_update=True))
            elif progress.state == "failed":
                self._output.place().display(_bundle(progress, is_update=False))

    def report(self, report: Report) -> None:
        """Show the tree."""
        shown = {"text/plain": report.text(), "text/html": report.html()}
        self._output.place().display({"data": shown})

    def warn(self, sentence: str) -> None:
        """Write the sentence to the cell's stderr."""
        self._output.place().write(STDERR, sentence + "\n")


def _bundle(progress: Progress, *, is_update: bool) -> dict[str, Any]:
    return {
        "data": {"text/plain": repr(progress), "text/html": progress._repr_html_()},
        "metadata": {},
        "transient": {"display_id": f"faas-{progress.key}"},
        "update": is_update,
    }
