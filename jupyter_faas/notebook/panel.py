"""`f.panel()` in a kernel: one display that every front end finds its form in.

JupyterLab and Notebook with our extension take the MIME type of ours, live from the server; front
ends with widgets alone take the widget; everything else, and every exported notebook, the still
HTML or the text. Those are written when it is shown, and again when its cell or a map of it ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from jupyter_faas.client import connect, panel_forms
from jupyter_faas.client.panel import Panel, look
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError
from jupyter_faas.notebook import panel_messages, panel_widget
from jupyter_faas.notebook.feed import Feed
from jupyter_faas.notebook.output import BoundCell

PANEL_MIME = "application/vnd.jupyter-faas.panel+json"
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

NOT_BUILT = "The live form is not built in this checkout: `make lab-build` builds it."
NO_WIDGETS = "For a live form install jupyter_faas[lab]."


class Panels:
    """The panels of a kernel: they share a reader.

    Args:
        place: Returns the cell that runs.
        is_deaf: Returns whether a cell runs: pages cannot be heard then.
    """

    def __init__(self, place: Callable[[], BoundCell], is_deaf: Callable[[], bool]) -> None:
        self._place = place
        self._is_deaf = is_deaf
        self.feed = Feed(connect.running)

    def make(self, name: str | None) -> LivePanel:
        """Return a panel of a function, or of all."""
        return LivePanel(name, self.feed, self._place, self._is_deaf)


class LivePanel(Panel):
    """A panel of this kernel.

    Args:
        name: The function; None: all.
        feed: The kernel's reader of events.
        place: Returns the cell that runs.
        is_deaf: Returns whether a cell runs.
    """

    def __init__(
        self,
        name: str | None,
        feed: Feed,
        place: Callable[[], BoundCell],
        is_deaf: Callable[[], bool],
    ) -> None:
        super().__init__(name)
        self._feed = feed
        self._place = place
        self._is_deaf = is_deaf
        self._widget: Any = None

    def close(self) -> None:
        """End the widget; what is shown of it stays still."""
        widget, self._widget = self._widget, None
        if widget is not None:
            widget.close()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = {
            "text/plain": panel_forms.text(self._seen),
            "text/html": panel_forms.html(self._seen, _note()),
            PANEL_MIME: self._panel(),
        }
        if not _note() and self._is_interactive():
            bundle[WIDGET_MIME] = {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self._model().model_id,
            }
        return bundle

    def _ipython_display_(self) -> None:
        """Show it with an id, so that its still forms can be written anew."""
        bound, display_id = self._place(), f"faas-panel-{secrets.token_hex(6)}"

        def show(*, is_update: bool = True) -> None:
            bound.display(
                {
                    "data": self._repr_mimebundle_(),
                    "transient": {"display_id": display_id},
                    "update": is_update,
                }
            )

        def refresh() -> None:
            if session.now_s() - self._seen.at_s > _SAME_S:
                self._seen = look(self.name)
                show()

        show(is_update=False)
        bound.cell.endings.append(refresh)

    def _is_interactive(self) -> bool:
        """Return whether a person's front end runs the cell.

        One that executes notebooks by itself (nbclient, papermill) answers no `input()`. It would
        store the widget's state, and nbconvert then prefers the widget to the HTML, though an
        exported page shows it only where it can load its program from elsewhere.
        """
        content = self._place().cell.parent.get("content") or {}
        return bool(content.get("allow_stdin"))

    def _panel(self) -> dict[str, Any]:
        namespace = session.gateway.namespace if session.gateway is not None else ""
        return {"version": 1, "function": self.name, "namespace": namespace}

    def _model(self) -> Any:
        if self._widget is None:
            self._widget = panel_widget.make(
                self._panel(), _snapshot(self.name), self._feed, self._is_deaf
            )
        return self._widget


_SAME_S = 0.5
"""What is so new need not be written anew."""


def _note() -> str:
    """Return why there is no live widget; empty: there is."""
    if find_spec("anywidget") is None:
        return NO_WIDGETS
    return "" if panel_widget.is_built() else NOT_BUILT


def _snapshot(name: str | None) -> dict[str, Any]:
    try:
        gateway = connect.running()
        return {} if gateway is None else panel_messages.part_of(gateway.state(), name)
    except (FaasError, OSError):
        return {}
