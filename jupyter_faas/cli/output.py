"""How commands show what they found: text for people, JSON for programs.

JSON has the names of the wire (`core/model.py`). Nothing here ever gets a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from jupyter_faas.client.as_json import to_json
from jupyter_faas.core.errors import FaasError, to_problem

__all__ = ["json_option", "show", "show_error", "table", "to_json"]

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add `--json` to a command; it gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def show(value: object, as_json: bool) -> None:
    """Print a value: its own text form, or JSON."""
    click.echo(to_json(value) if as_json else repr(value))


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
