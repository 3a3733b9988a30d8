"""Commands about deployed functions: each is one call of the client and says what it returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jupyter_faas.cli.output import json_option, show, to_json

if TYPE_CHECKING:
    from jupyter_faas.client.function import RemoteFunction


def find(name: str) -> RemoteFunction[..., Any, Any, Any]:
    """Return the handle of a deployed function.

    Raises:
        FunctionNotFound: There is none of this name.
    """
    import jupyter_faas  # noqa: PLC0415 - help must be quick

    found: RemoteFunction[..., Any, Any, Any] = jupyter_faas.function(name)
    return found


@click.command("list")
@json_option
def list_functions(as_json: bool) -> None:
    """List all functions."""
    import jupyter_faas  # noqa: PLC0415 - help must be quick

    show(jupyter_faas.functions(), as_json)


@click.command
@click.argument("name", required=False)
@json_option
def status(name: str | None, as_json: bool) -> None:
    """Show one function, or the gateway and all."""
    if name is not None:
        show(find(name).status(), as_json)
        return
    import jupyter_faas  # noqa: PLC0415 - help must be quick

    gateway, functions = jupyter_faas.gateway(), jupyter_faas.functions()
    if as_json:
        about = {
            "url": gateway.location.url,
            "provider": gateway.provider,
            "version": gateway.version,
            "namespace": gateway.namespace,
        }
        click.echo(to_json({"gateway": about, "functions": functions}))
        return
    click.echo(f"gateway {gateway.version} ({gateway.provider}) at {gateway.place}")
    click.echo(repr(functions))


@click.command
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("--tail", default=100, show_default=True, help="How many of the last lines.")
@json_option
def logs(name: str, follow: bool, tail: int, as_json: bool) -> None:
    """Show what a function has printed."""
    for line in find(name).logs(follow=follow, tail=tail):
        click.echo(to_json(line) if as_json else str(line).removesuffix("\n"))


@click.command
@click.argument("name")
@click.argument("revision", required=False, type=int)
@json_option
def rollback(name: str, revision: int | None, as_json: bool) -> None:
    """Go back to an earlier revision.

    To REVISION, or to the one that was live before.
    """
    show(find(name).rollback(revision), as_json)


@click.command
@click.argument("name")
@click.argument("weights", nargs=-1, metavar="[REVISION=WEIGHT]...")
@json_option
def traffic(name: str, weights: tuple[str, ...], as_json: bool) -> None:
    """Show or split the traffic of revisions.

    `traffic NAME 3=90 4=10` gives revision 3 nine of ten calls.
    """
    wanted: dict[int | str, int] = dict(map(_weight, weights))
    function = find(name)
    split = function.traffic(wanted) if wanted else function.traffic()
    if as_json:
        click.echo(to_json(split))
        return
    total = sum(split.values()) or 1
    for number, weight in sorted(split.items(), reverse=True):
        click.echo(f"revision {number}: {weight / total:.0%}")
    if not split:
        click.echo("no revision is ready")


@click.command
@click.argument("name")
@click.option("--min-containers", type=int, help="Replicas that are always there.")
@click.option("--max-containers", type=int, help="Replicas at most.")
@click.option("--buffer-containers", type=int, help="Replicas above need while active.")
@click.option("--scaledown-window", type=float, help="Seconds idle before scaling down.")
@json_option
def scale(name: str, as_json: bool, **limits: float | None) -> None:
    """Change how many replicas there may be.

    At once, and without a new revision.
    """
    given = {option: value for option, value in limits.items() if value is not None}
    if not given:
        raise click.UsageError("Say what to change, e.g. --min-containers 1.")
    show(find(name).update_autoscaler(**given), as_json)


@click.command
@click.argument("name")
@json_option
def delete(name: str, as_json: bool) -> None:
    """Delete a function with all it has."""
    find(name).delete()
    click.echo(to_json({"deleted": name}) if as_json else f"{name} is deleted")


def _weight(text: str) -> tuple[int, int]:
    revision, equals, weight = text.partition("=")
    if not (equals and revision.isdecimal() and weight.isdecimal()):
        raise click.UsageError(f"{text!r}: write REVISION=WEIGHT, e.g. 3=90.")
    return int(revision), int(weight)
