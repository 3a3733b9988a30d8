"""`f.panel()` and `faas.panel()`: a function, or all of them, to look at.

Here it shows what was when it was made; a notebook puts its live form into `session.panel`.
Looking starts no gateway.
"""

from __future__ import annotations

from typing import Any

from jupyter_faas.client import connect, control, panel_forms
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError, FunctionNotFound

_CALLS, _LINES = 5, 10


def panel(name: str | None = None) -> Any:
    """Show a function live, or all functions; in a terminal as they are now.

    Args:
        name: The function's name on the platform; None: all functions.
    """
    return (session.panel or Panel)(name)


class Panel:
    """A function, or all of them, as they were when this was made.

    Attributes:
        name: The function; None: all.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self._seen = look(name)

    def __repr__(self) -> str:
        return panel_forms.text(self._seen)

    def _repr_html_(self) -> str:
        return panel_forms.html(self._seen)


def look(name: str | None) -> panel_forms.Seen:
    """Return what is to be seen of a function, or of all, now; what is wrong is in it."""
    now_s = session.now_s()
    try:
        gateway = connect.running()
        if gateway is None:
            return panel_forms.Seen(name, now_s, note=panel_forms.NO_GATEWAY)
        if name is None:
            state = gateway.state()
            return panel_forms.Seen(None, now_s, functions=tuple(state["functions"]))
        found = control.raw(gateway, name)
        calls = control.calls(gateway, name, _CALLS)
        lines = control.logs(gateway, name, _LINES)
    except FunctionNotFound:
        return panel_forms.Seen(name, now_s, note=f"{name} is not deployed yet.")
    except (FaasError, OSError) as error:
        return panel_forms.Seen(name, now_s, note=f"The gateway cannot be asked: {error}")
    return panel_forms.Seen(name, now_s, (found,), tuple(calls), tuple(lines))
