"""What a magic says: the Python call it is, and a sentence instead of a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_faas.client.as_json import to_json
from jupyter_faas.core.errors import FaasError, to_problem


class Told(Exception):
    """Ends a cell with a sentence; a traceback would be of the magic's own lines."""

    def _render_traceback_(self) -> list[str]:
        """IPython's way to ask an exception for its lines."""
        return str(self).splitlines()


class JsonText(str):
    """JSON text; shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def told(run: Callable[[], Any], *, as_json: bool = False) -> Any:
    """Run a magic; what is wrong ends the cell with a sentence.

    Args:
        run: Does it.
        as_json: Whether programs read the answer: they get the problem document.

    Raises:
        Told: What went wrong and what to do.
    """
    __tracebackhide__ = True
    try:
        return run()
    except FaasError as error:
        if as_json:
            raise Told(to_json(to_problem(error))) from None
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        raise Told(f"✕ {error}{notes}") from None


def shown_call(function: str, *words: Any, **options: Any) -> str:
    """Return a Python call for people: `faas.function('score').rollback(3)`."""
    arguments = [repr(word) for word in words]
    arguments += [f"{name}={value!r}" for name, value in options.items()]
    return f"{function}({', '.join(arguments)})"
