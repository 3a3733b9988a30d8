"""`%%faas deploy`: a cell runs here, then what it defines is deployed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import closing
from types import FunctionType
from typing import Any

import jupyter_faas as faas
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.notebook.lines import is_handle
from jupyter_faas.notebook.parsing import Wish
from jupyter_faas.notebook.telling import shown_call

_HOW = ("strategy", "take_over")


def run(shell: Any, wish: Wish, cell: str) -> Any:
    """Run a cell, deploy what it defines, and bind its names to the remote functions.

    Raises:
        FaasError: What cannot be deployed, and why; the cell has run.
    """
    __tracebackhide__ = True
    options = dict(wish.options)
    entry = options.pop("entry", None)
    how = {name: options.pop(name) for name in _HOW if name in options}
    faas.serverless(**options)  # a wrong option is told before anything runs
    before = dict(shell.user_ns)
    if not _succeeds(shell, cell):
        return  # IPython has shown why
    made = {
        name: value
        for name, value in shell.user_ns.items()
        if not name.startswith("_") and before.get(name) is not value
    }
    handles = chosen(made, shell.user_ns, entry, options)
    shell.user_ns.update(handles)
    for name, handle in handles.items():
        print(shown_call(f"{name}.deploy", **how))
        handle.deploy(**how)


def _succeeds(shell: Any, cell: str) -> bool:
    """Run a cell here, one that awaits too; return whether it got to its end."""
    runner, shell.loop_runner = shell.loop_runner, _run_inside
    try:
        return bool(shell.run_cell(cell).success)
    finally:
        shell.loop_runner = runner


def _run_inside(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end on a loop of its own, also inside a task of a running loop.

    The kernel's loop runs the magic and cannot go on before it returns. In the same thread, so
    that an interrupt reaches the cell; the outer task stands aside meanwhile.
    """
    outer, task = asyncio._get_running_loop(), None
    if outer is not None:
        task = asyncio.current_task(outer)
        if task is not None:
            asyncio.tasks._leave_task(outer, task)
        asyncio._set_running_loop(None)
    try:
        with closing(asyncio.new_event_loop()) as loop:
            try:
                return loop.run_until_complete(coroutine)
            finally:
                _end_tasks(loop)
    finally:
        if outer is not None:
            asyncio._set_running_loop(outer)
            if task is not None:
                asyncio.tasks._enter_task(outer, task)


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """End what a cell has begun and not awaited: its loop ends with it."""
    left = asyncio.all_tasks(loop)
    for one in left:
        one.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.run_until_complete(loop.shutdown_asyncgens())


def chosen(
    made: Mapping[str, Any], names: Mapping[str, Any], entry: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Return what to deploy of the names that a cell has made, as remote functions.

    Args:
        made: Names that the cell has bound.
        names: All names of the notebook: functions defined there have them as globals.
        entry: The one that is meant.
        options: Arguments of the decorator for what is not decorated.

    Raises:
        InvalidSpec: It is not clear what is meant.
    """
    functions = {
        name: value
        for name, value in made.items()
        if isinstance(value, FunctionType) and value.__globals__ is names
    }
    decorated = {name: value for name, value in made.items() if is_handle(value)}
    if entry is not None:
        return _named(entry, made, {**functions, **decorated}, options)
    if decorated:
        if options:
            _no_options(decorated)
        return decorated
    if len(functions) != 1:
        said = ", ".join(functions) or "none"
        raise InvalidSpec(f"Which function? The cell defines {said}: --entry NAME says it.")
    return {name: faas.serverless(**options)(value) for name, value in functions.items()}


def _named(
    entry: str, made: Mapping[str, Any], found: Mapping[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    value = found.get(entry, made.get(entry))
    if value is None or not callable(value):
        raise InvalidSpec(f"--entry {entry}: the cell defines {', '.join(found) or 'none'}.")
    if not is_handle(value):
        return {entry: faas.serverless(**options)(value)}
    if options:
        _no_options({entry: value})
    return {entry: value}


def _no_options(decorated: Mapping[str, Any]) -> None:
    names = ", ".join(decorated)
    raise InvalidSpec(f"The options belong into @serverless(…) of {names}, which is decorated.")
