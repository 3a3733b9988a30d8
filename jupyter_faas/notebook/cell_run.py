"""`%%faas run`: a cell runs once in a replica, which is there for this run alone."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import re
import secrets
from types import FunctionType
from typing import Any, NoReturn

import jupyter_faas as faas
from jupyter_faas.client.card import NAMELESS
from jupyter_faas.core.errors import FaasError
from jupyter_faas.notebook.parsing import Wish
from jupyter_faas.notebook.remote_cell import remote_cell


def run(shell: Any, wish: Wish, cell: str) -> Any:
    """Run a cell elsewhere; bring back its value and the wanted names.

    Raises:
        FaasError: Why it did not run.
        Exception: What the cell raised there.
    """
    __tracebackhide__ = True
    options = dict(wish.options)
    wanted = tuple(dict.fromkeys(options.pop("out", ())))
    source = shell.transform_cell(cell)
    try:
        made = remote_cell(source, shell.user_ns, wanted)
    except SyntaxError:
        shell.showsyntaxerror()
        return None
    arguments = "".join(f"{name}={value!r}, " for name, value in options.items()).rstrip(", ")
    print(f"serverless({arguments})(cell).remote()" if arguments else "serverless(cell).remote()")
    file = shell.compile.cache(source, shell.execution_count)
    function = _function(shell, made.tree, file)
    handle = faas.serverless(
        name=f"cell-{secrets.token_hex(4)}", max_containers=1, scaledown_window=1, **options
    )(function)
    try:
        value, back = handle.remote()
    except Exception as error:
        _raise_in_cell(error, file)
    finally:
        # It was for this run alone; a gateway that is gone has told so already.
        with contextlib.suppress(FaasError, OSError):
            handle.delete()
    shell.user_ns.update(back)
    return _displayable(shell, value)


def _raise_in_cell(error: Exception, file: str) -> NoReturn:
    """Raise what the cell raised there at its own line here; what else went wrong, as it is."""
    __tracebackhide__ = True
    notes = "\n".join(getattr(error, "__notes__", ()))
    lines = re.findall(rf'File "{re.escape(file)}", line (\d+)', notes)
    if not lines:
        raise error
    error.__traceback__ = None
    # A frame whose file and line are the cell's: what shows the error shows that line.
    at = compile("\n" * (int(lines[-1]) - 1) + "raise error", file, "exec")
    exec(at, {"error": error})  # noqa: S102 - the line above
    raise AssertionError("it has been raised")


def _function(shell: Any, tree: Any, file: str) -> FunctionType:
    """Return the function of a cell, with the notebook's names as its globals."""
    made: dict[str, Any] = {}
    namespace = {"__name__": "__main__", "__builtins__": shell.user_ns.get("__builtins__")}
    exec(compile(tree, file, "exec", dont_inherit=True), namespace, made)  # noqa: S102 - the cell
    linecache.checkcache(file)
    (function,) = made.values()
    assert inspect.isfunction(function)
    real = FunctionType(function.__code__, shell.user_ns, function.__name__)
    real.__module__, real.__name__ = "__main__", NAMELESS
    return real


def _displayable(shell: Any, value: Any) -> Any:
    """Return the value; a matplotlib figure needs IPython told how to draw it."""
    if type(value).__module__.startswith("matplotlib."):
        from IPython.core.pylabtools import select_figure_formats  # noqa: PLC0415 - needs matplotlib

        with contextlib.suppress(ImportError):
            select_figure_formats(shell, {"png"})  # type: ignore[no-untyped-call]
    return value
