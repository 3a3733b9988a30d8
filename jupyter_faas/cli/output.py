"""How commands show what they found: text for people, JSON for programs.

JSON has the names of the wire (`core/model.py`). Nothing here ever gets a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from jupyter_faas.core.errors import FaasError, to_problem

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add `--json` to a command; it gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def show(value: object, as_json: bool) -> None:
    """Print a value: its own text form, or JSON."""
    click.echo(to_json(value) if as_json else repr(value))


def to_json(value: object) -> str:
    """Return a value of the model as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def show_error(error: FaasError, *, as_json: bool) -> None:
    """Print an error to stderr: a sentence, or its problem document."""
    if as_json:
        click.echo(to_json(to_problem(error)), err=True)
        return
    text = error.detail or type(error).__name__
    click.echo(f"{click.style('Error:', fg='red')} {text}", err=True)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return left-aligned columns, two spaces apart."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _plain(value: object) -> Any:
    """Return the JSON form of what msgspec does not know: the attributes of a view."""
    return {name: item for name, item in vars(value).items() if not name.startswith("_")}
