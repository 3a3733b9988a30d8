"""The command line: `jupyter-faas`, also `jupyter faas` and `python -m jupyter_faas`.

The composition root: the only package that knows client, gateway, provider and runner. A
command's module is imported when it is used, and imports what it needs then: `--help` is quick.
Exit codes: 0, 1 (it failed), 2 (it was asked wrongly). No error of ours shows a traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click

from jupyter_faas.cli.output import show_error
from jupyter_faas.core.errors import BadRequest, FaasError, InvalidSpec
from jupyter_faas.core.version import VERSION

_COMMANDS = {
    "list": ("functions", "list_functions"),
    "status": ("functions", "status"),
    "state": ("state", "state"),
    "deploy": ("deploy", "deploy"),
    "invoke": ("invoke", "invoke"),
    "logs": ("functions", "logs"),
    "scale": ("functions", "scale"),
    "traffic": ("functions", "traffic"),
    "rollback": ("functions", "rollback"),
    "delete": ("functions", "delete"),
    "gateway": ("gateway", "gateway"),
    "runner": ("runner", "runner"),
    "driver": ("driver", "driver"),
    "blobs": ("blobs", "blobs"),
    "install": ("install", "install"),
    "uninstall": ("uninstall", "uninstall"),
    "auth-header": ("auth", "auth_header"),
    "doctor": ("doctor", "doctor"),
}


class _Commands(click.Group):
    """The commands, each in its module, in the order people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(
            importlib.import_module(f"jupyter_faas.cli.{module}"), name
        )
        return command


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Calls over HTTP: curl -H \"$(jupyter-faas auth-header)\" -d '{…}' URL, "
    "where `jupyter-faas status NAME` tells the URL.",
)
@click.version_option(VERSION, prog_name="jupyter-faas")
@click.option(
    "--gateway",
    metavar="URL",
    help="https://…, kubernetes, kubernetes://CONTEXT/NAMESPACE or embedded (FAAS_GATEWAY_URL).",
)
@click.option("--namespace", metavar="NAME", help="Where names are looked up (FAAS_NAMESPACE).")
@click.pass_context
def commands(ctx: click.Context, gateway: str | None, namespace: str | None) -> None:
    """Serverless functions for people who live in Jupyter.

    Commands use the gateway of --gateway or FAAS_GATEWAY_URL; in a pod else that of its cluster;
    else the embedded gateway of this user, which is started if it is not running.
    """
    ctx.with_resource(_variables({"FAAS_GATEWAY_URL": gateway, "FAAS_NAMESPACE": namespace}))


@contextmanager
def _variables(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables while a command runs: they are what every part reads its settings from."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: value for name, value in wanted.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors have been shown."""
    try:
        result = commands.main(list(arguments), prog_name="jupyter-faas", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FaasError as error:
        show_error(error, as_json="--json" in arguments)
        return 2 if isinstance(error, InvalidSpec | BadRequest) else 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing may be written at exit either.
        sys.stdout = None
        return 1
    return result if isinstance(result, int) else 0
