"""`jupyter-faas deploy FILE.py[:FUNC]`: what `%%faas deploy` does for a cell, for a file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from jupyter_faas.cli.output import json_option, show, to_json


@click.command
@click.argument("target", metavar="FILE.py[:FUNC]")
@click.option("--take-over", is_flag=True, help="Also if somebody else has deployed this name.")
@click.option(
    "--strategy",
    type=click.Choice(["rolling", "recreate"]),
    default="rolling",
    show_default=True,
    help="Let the old revision serve until the new one is ready, or stop it first.",
)
@json_option
def deploy(target: str, take_over: bool, strategy: str, as_json: bool) -> None:
    """Run a file and deploy its functions.

    Those that are decorated, or the only one it defines, or FUNC.
    """
    path, _, name = target.partition(":")
    module = run_file(Path(path))
    found = [named_function(module, name)] if name else functions_of(module)
    revisions = [
        function.deploy(strategy=strategy, take_over=take_over) for function in map(_remote, found)
    ]
    if as_json:
        click.echo(to_json(revisions))
        return
    for revision in revisions:
        show(revision, as_json=False)


def run_file(path: Path) -> ModuleType:
    """Import a file by its path, as a module that is named after it.

    Its directory comes first on the search path, so that it finds the modules next to it.

    Raises:
        click.UsageError: It is no Python file.
    """
    if path.suffix != ".py" or not path.is_file():
        raise click.UsageError(f"{path} is no Python file.")
    path = path.resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise click.ClickException(f"{path.name} cannot be run: {_where(error, path)}") from error
    return module


def functions_of(module: ModuleType) -> list[Any]:
    """Return the decorated functions of a module, or the only one it defines.

    Raises:
        click.UsageError: None is decorated, and it does not define exactly one function.
    """
    if decorated := [value for value in vars(module).values() if _is_decorated(value)]:
        return decorated
    own = [
        value
        for value in vars(module).values()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(function.__name__ for function in own) or "none"
        raise click.UsageError(
            f"Which function? None is decorated with @serverless; defined are: {names}. "
            "Write FILE.py:FUNC."
        )
    return own


def named_function(module: ModuleType, name: str) -> Any:
    """Return the function or class that `:FUNC` names.

    Raises:
        click.UsageError: The file defines no such name.
    """
    found = getattr(module, name, None)
    if not callable(found):
        raise click.UsageError(f"{module.__name__}.py defines no function {name!r}.")
    return found


def _is_decorated(value: object) -> bool:
    return not isinstance(value, type) and callable(getattr(value, "deploy", None))


def _remote(function: Any) -> Any:
    """Return the function as a remote one, decorated with the defaults if it is not."""
    from jupyter_faas import serverless  # noqa: PLC0415 - help must be quick

    return function if _is_decorated(function) else serverless(function)


def _where(error: Exception, path: Path) -> str:
    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    at = f" in line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{at}: {error}"
