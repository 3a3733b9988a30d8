"""`jupyter-faas state`: everything as JSON, of the gateway or of the store it has left."""

from __future__ import annotations

import click

from jupyter_faas.cli.output import to_json


@click.command
@click.option(
    "--stored",
    "is_stored",
    is_flag=True,
    help="What the embedded gateway has stored, whether it runs or not; starts nothing.",
)
@click.option("--json", "is_json", is_flag=True, help="JSON is the only form there is.")
def state(is_stored: bool, is_json: bool) -> None:
    """Print functions, revisions and replicas as JSON.

    The same that GET /v1/state answers.
    """
    if is_stored:
        click.echo(_stored())
        return
    import jupyter_faas  # noqa: PLC0415 - help must be quick

    click.echo(to_json(jupyter_faas.gateway().state()))


def _stored() -> str:
    # Imported when it runs: help must be quick.
    from jupyter_faas.client.state_file import load_settings, read_state  # noqa: PLC0415 - as above
    from jupyter_faas.core.settings import StatePaths  # noqa: PLC0415 - as above
    from jupyter_faas.gateway.snapshot import Moment  # noqa: PLC0415 - as above
    from jupyter_faas.gateway.store.stored import (  # noqa: PLC0415 - as above
        stored_contents,
        stored_state,
    )

    settings = load_settings()
    paths = StatePaths(settings.state_dir)
    last = read_state(paths)
    moment = Moment(
        provider="local",
        url=last.url if last else "",
        namespace=settings.namespace,
        started_at=0.0,
    )
    return to_json(stored_state(stored_contents(paths.database), moment))
