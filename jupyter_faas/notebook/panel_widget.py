"""The panel as a widget, for front ends without our lab extension; its page is built by Node.

The model carries the same messages as the server extension's WebSocket (`panel_messages`), so both
pages are one program. Nothing is read from the gateway while nobody looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_faas.notebook import panel_acts, panel_messages
from jupyter_faas.notebook.feed import Feed
from jupyter_faas.notebook.onlookers import Onlookers

STATIC = Path(__file__).parent / "static"


def is_built() -> bool:
    """Return whether the widget's page is there; a checkout has to build it."""
    return (STATIC / "panel.js").is_file()


class PanelModel:
    """One panel's side of the conversation with its pages.

    Args:
        function: The one that is shown; None: all.
        feed: The kernel's reader.
        send: Sends a message to all pages that show the model.
        is_deaf: Returns whether a cell runs, so that no page can be heard.
    """

    def __init__(
        self,
        function: str | None,
        feed: Feed,
        send: Callable[[panel_messages.Message], None],
        is_deaf: Callable[[], bool],
    ) -> None:
        self._feed = feed
        self._send = send
        self._is_deaf = is_deaf
        self._onlookers = Onlookers(time.monotonic)
        self.wish = panel_messages.Wish(function)

    def hear(self, content: Any) -> None:
        """Take a message of a page; what makes no sense is passed over."""
        if not isinstance(content, dict):
            return
        kind, view = content.get("type"), str(content.get("view", ""))
        if kind == "watch":
            self.wish = panel_messages.wish_of(self.wish.function, content)
            self._onlookers.saw(view)
            self._feed.watch(self)
        elif kind == "alive":
            if self._onlookers.saw(view):
                self._feed.watch(self)
        elif kind == "hidden":
            self._onlookers.left(view)
            self._leave_if_alone()
        elif kind == "act":
            self._send(panel_acts.act(content))

    def close(self) -> None:
        """Nobody looks any more."""
        self._onlookers.clear()
        self._leave_if_alone()

    def take(self, message: panel_messages.Message) -> None:
        """Tell the pages."""
        self._send(message)

    def is_watched(self) -> bool:
        """Return whether anybody looks."""
        self._onlookers.drop_silent(is_deaf=self._is_deaf())
        return bool(self._onlookers)

    def _leave_if_alone(self) -> None:
        if not self._onlookers:
            self._feed.leave(self)


@cache
def widget_class() -> Any:
    """Return the widget's class; ipywidgets and anywidget are loaded by the first panel."""
    import anywidget  # noqa: PLC0415 - see above
    import traitlets  # noqa: PLC0415 - see above

    class PanelWidget(anywidget.AnyWidget):
        """A panel's model as front ends know it."""

        _esm = (STATIC / "panel.js").read_text(encoding="utf-8")
        _css = (STATIC / "panel.css").read_text(encoding="utf-8")
        panel = traitlets.Dict().tag(sync=True)
        function = traitlets.Unicode().tag(sync=True)
        snapshot = traitlets.Dict().tag(sync=True)
        status = traitlets.Dict().tag(sync=True)

    return PanelWidget


def make(
    panel: dict[str, Any], snapshot: dict[str, Any], feed: Feed, is_deaf: Callable[[], bool]
) -> Any:
    """Return the widget of a panel, with its conversation under way."""
    status = panel_messages.status("connecting" if snapshot else "none", snapshot)["gateway"]
    function = panel["function"] or ""
    widget = widget_class()(
        panel=panel, function=function, snapshot=snapshot, status=status, _view_count=0
    )
    model = PanelModel(function or None, feed, widget.send, is_deaf)
    widget.on_msg(lambda _widget, content, _buffers: model.hear(content))
    widget.observe(lambda change: model.close() if not change.new else None, "_view_count")
    widget.observe(lambda change: model.close() if change.new is None else None, "comm")
    return widget
