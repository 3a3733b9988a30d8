"""`jupyter-faas auth-header`: the one place where a token is printed, for the user's own curl."""

from __future__ import annotations

import click

from jupyter_faas.cli.output import json_option, to_json
from jupyter_faas.core.errors import Unauthorized


@click.command("auth-header")
@json_option
def auth_header(as_json: bool) -> None:
    r"""Print the header your own HTTP calls need.

    \b
    curl -H "$(jupyter-faas auth-header)" -d '{"text": "x"}' URL/function/NAME
    """
    from jupyter_faas.client.connect import gateway  # noqa: PLC0415 - help must be quick

    token = gateway().token
    if not token:
        raise Unauthorized("FAAS_GATEWAY_URL is set without FAAS_GATEWAY_TOKEN: no token is known.")
    header = f"Bearer {token}"
    click.echo(to_json({"Authorization": header}) if as_json else f"Authorization: {header}")
