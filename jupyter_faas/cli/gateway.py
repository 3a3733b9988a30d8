"""`jupyter-faas gateway`: run it here, or end the one that runs."""

from __future__ import annotations

import click
import msgspec

from jupyter_faas.cli.output import json_option, to_json


@click.command
@click.option("--local/--kubernetes", "is_local", default=True, help="Where replicas run.")
@click.option("--host", help="Address to listen on instead of 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0: a free one.")
@click.option("--context", help="Of kubeconfig, with --kubernetes outside of a cluster.")
@click.option("--stop", "is_stop", is_flag=True, help="End the running embedded gateway instead.")
@click.option("--ready-fd", type=int, hidden=True)
@json_option
def gateway(
    is_local: bool,
    host: str | None,
    port: int | None,
    context: str | None,
    is_stop: bool,
    ready_fd: int | None,
    as_json: bool,
) -> int:
    """Run the gateway until it is interrupted.

    Rarely needed: the first remote call starts it in the background, and that one leaves when
    it has been unused for FAAS_IDLE_EXIT_S. With --kubernetes it serves the Functions of a
    cluster: in a pod (`jupyter-faas install`), or here where pods' addresses are reachable.
    """
    # What has to be imported before the zygote starts is imported while it could be starting.
    from jupyter_faas.cli.serve import serve, stop  # noqa: PLC0415 - only when it runs
    from jupyter_faas.client.state_file import load_settings  # noqa: PLC0415 - as above

    settings = load_settings()
    if is_stop:
        pid = stop(settings)
        told = f"The gateway (pid {pid}) has ended." if pid else "No gateway was running."
        click.echo(to_json({"stopped": pid}) if as_json else told)
        return 0
    given = {"host": host, "port": port}
    chosen = {name: value for name, value in given.items() if value is not None}
    if not is_local:
        from jupyter_faas.cli.cluster import serve_cluster  # noqa: PLC0415 - as above

        return serve_cluster(msgspec.structs.replace(settings, **chosen), context)
    return serve(msgspec.structs.replace(settings, **chosen), ready_fd, as_json=as_json)
