"""What one Python process shares between all its handles.

The composition root of the client: the gateway in use, where output goes, what was deployed under
which name. `notebook` puts its own output, display and cell in here; nothing else is global.
"""

from __future__ import annotations

import atexit
import os
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from jupyter_faas.client.map_progress import MapDisplay, TerminalMapDisplay
from jupyter_faas.client.origin import Cell
from jupyter_faas.client.output import OutputSink, ProcessOutput
from jupyter_faas.client.progress import DeployDisplay, TerminalDisplay
from jupyter_faas.client.terminal import Terminal

if TYPE_CHECKING:
    from jupyter_faas.client.deployment import Deployed
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.client.kube.forward import Forward


class Session:
    """State of one process.

    Attributes:
        gateway: The chosen gateway; None: none has been needed yet.
        output: Where the output of calls goes.
        display: Shows how a deployment goes.
        map_display: Makes the display of a map that is started here and now.
        panel: Makes the live panel of a function, or of all; None: only still forms.
        cell: Tells which cell runs now.
        id: Names this process (a notebook's kernel: also after a restart).
        deployed: What this process deployed or found live, by (gateway, function name).
        told: Sentences for people that need not be said twice.
        forwards: Open ways to clusters, by which cluster and gateway; each while one uses it.
    """

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self.output: OutputSink
        self.display: DeployDisplay
        self.map_display: Callable[[], MapDisplay]
        self.panel: Callable[[str | None], Any] | None
        self.cell: Callable[[], Cell]
        self._terminal = Terminal()
        atexit.register(self._terminal.bar_ended)
        self.use_terminal()
        self.id = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.lock = threading.RLock()
        self.deployed: dict[tuple[tuple[str, str], str], Deployed] = {}
        self.told: set[str] = set()
        self.forwards: WeakValueDictionary[tuple[str, ...], Forward] = WeakValueDictionary()

    def use_terminal(self) -> None:
        """Show everything where a plain process does."""
        terminal = self._terminal
        self.output, self.display = ProcessOutput(terminal), TerminalDisplay(terminal)
        self.map_display = partial(TerminalMapDisplay, terminal)
        self.panel, self.cell = None, Cell

    @staticmethod
    def now_s() -> float:
        """Return wall-clock seconds, for what people see."""
        return time.time()

    @staticmethod
    def monotonic_s() -> float:
        """Return monotonic seconds, for durations and deadlines."""
        return time.monotonic()


session = Session()
