"""`jupyter-faas invoke`: one call over plain HTTP, as any program would make it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from jupyter_faas.cli.output import json_option, to_json

if TYPE_CHECKING:
    from jupyter_faas.wire.blocking import Response

_FIGURES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "invocationId": ("faas-invocation-id", str),
    "revision": ("faas-revision", int),
    "coldStart": ("faas-cold-start", lambda text: text == "1"),
    "queueMilliseconds": ("faas-queue-ms", float),
    "runMilliseconds": ("faas-run-ms", float),
}


@click.command
@click.argument("name")
@click.option(
    "--data",
    "-d",
    default="{}",
    show_default=True,
    metavar="JSON|@FILE|-",
    help="An object is keyword arguments, an array positional ones, else it is one argument; "
    "@FILE reads a file, - reads standard input.",
)
@click.option("--timeout", type=float, help="Seconds the call may take, everything included.")
@json_option
def invoke(name: str, data: str, timeout: float | None, as_json: bool) -> None:
    """Call a function and print what it returns.

    Interrupting (Ctrl-C) cancels the call.
    """
    from jupyter_faas.client.connect import gateway  # noqa: PLC0415 - help must be quick

    body = read_data(data)
    used = gateway()
    headers = [(b"Content-Type", b"application/json")]
    if timeout is not None:
        headers.append((b"Faas-Deadline-Ms", b"%d" % int(timeout * 1000)))
    connection, response = used.open("POST", used.call_path(name), headers, [body])
    try:
        _print(response, as_json)
    finally:
        connection.close()


def read_data(text: str) -> bytes:
    """Return the body that `--data` names, checked to be JSON.

    Raises:
        click.UsageError: It is no JSON, or the file cannot be read.
    """
    try:
        body = _read(text)
        msgspec.json.decode(body)
    except OSError as error:
        raise click.UsageError(f"--data {text}: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--data is no JSON: {error}.") from error
    return body


def _read(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()


def _print(response: Response, as_json: bool) -> None:
    from jupyter_faas.client.answers import problem_of  # noqa: PLC0415 - help must be quick

    if response.status >= 400:
        raise problem_of(response.status, response.headers, response.read())
    if as_json:
        body = response.read()
        click.echo(to_json(_document(response.headers, body)))
        return
    ends_line = True
    for chunk in response.iter_body():
        click.echo(bytes(chunk), nl=False)
        ends_line = bytes(chunk[-1:]) == b"\n"
    if not ends_line:
        click.echo()


def _document(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {
        key: read(headers[name]) for key, (name, read) in _FIGURES.items() if name in headers
    }
    kind = headers.get("content-type", "")
    if kind.startswith("application/json"):
        found["result"] = msgspec.json.decode(body)
    elif "json" in kind:
        found["results"] = [msgspec.json.decode(line) for line in body.splitlines() if line]
    else:
        found["result"] = body.decode(errors="replace")
    return found
