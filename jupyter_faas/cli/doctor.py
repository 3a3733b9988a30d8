"""`jupyter-faas doctor`: what is installed, set and running, and what is wrong with it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from importlib import metadata
from typing import Any

import click

from jupyter_faas.cli.checks import Findings, look
from jupyter_faas.cli.output import json_option, table, to_json
from jupyter_faas.client.state_file import settings_and_origins
from jupyter_faas.core.errors import UsageError
from jupyter_faas.core.model import PROTOCOL_VERSION
from jupyter_faas.core.settings import Origins, Settings, StatePaths, config_path, describe
from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.local.run_dir import run_directory

_PACKAGES = [
    "cloudpickle",
    "httptools",
    "ipykernel",
    "msgspec",
    "numpy",
    "pandas",
    "starlette",
    "uvloop",
]


@click.command
@click.option("--purge", is_flag=True, help="Delete everything the embedded gateway keeps.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@json_option
def doctor(purge: bool, yes: bool, as_json: bool) -> int:
    """Show settings and state, look for problems.

    Starts nothing. Exits with 1 if there are problems.
    """
    settings, origins = settings_and_origins()
    findings = look(settings, os.environ)
    if purge:
        purge_state(settings, findings, is_sure=yes)
        return 0
    if as_json:
        click.echo(to_json(_document(settings, origins, findings)))
    else:
        _print(settings, origins, findings)
    return 1 if findings.problems else 0


def purge_state(settings: Settings, findings: Findings, *, is_sure: bool) -> None:
    """Delete the state directory after asking.

    Raises:
        UsageError: The gateway is running.
        click.Abort: The answer was no.
    """
    root = StatePaths(settings.state_dir).root
    if findings.state is not None:
        raise UsageError(
            f"The gateway is running (pid {findings.state.pid}): first "
            "`jupyter-faas gateway --stop`."
        )
    if not root.exists():
        click.echo(f"{root} is not there: nothing to delete.")
        return
    if not is_sure:
        click.confirm(
            f"Delete {root} with all deployed functions, their revisions and logs?", abort=True
        )
    shutil.rmtree(run_directory(StatePaths(root).run, os.environ), ignore_errors=True)
    shutil.rmtree(root)
    click.echo(f"{root} is deleted.")


def _print(settings: Settings, origins: Origins, findings: Findings) -> None:
    click.echo(f"jupyter-faas {VERSION}, protocol {PROTOCOL_VERSION}")
    click.echo(f"Python {platform.python_version()} ({sys.executable}) on {platform.platform()}")
    click.echo(", ".join(f"{name} {version}" for name, version in _versions().items()))
    click.echo(f"\nGateway: {_gateway(settings, findings)}")
    click.echo(f"State: {settings.state_dir}\nConfiguration: {config_path(os.environ)}\n")
    rows = [(name, value, origin) for name, value, origin, _ in describe(settings, origins)]
    click.echo(table(("setting", "value", "from"), rows))
    if findings.pieces:
        found = [(piece.name, piece.where or "not found") for piece in findings.pieces]
        click.echo("\n" + table(("in Jupyter", "found in"), found))
    if not findings.problems:
        click.echo("\nNo problems found.")
    for problem in findings.problems:
        click.echo(f"\n{click.style('Problem:', fg='red')} {problem.what}\n  → {problem.advice}")


def _gateway(settings: Settings, findings: Findings) -> str:
    if settings.gateway_url:
        return f"{settings.gateway_url} (FAAS_GATEWAY_URL); the embedded one is not used"
    if findings.state is None:
        return "embedded, not running; the first call starts it"
    age_s = max(0.0, time.time() - findings.state.started_at)
    return (
        f"embedded, running at {findings.state.url} (pid {findings.state.pid}, "
        f"{age_s / 60:.0f} min, version {findings.state.version})"
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _document(settings: Settings, origins: Origins, findings: Findings) -> dict[str, Any]:
    state = findings.state
    return {
        "version": VERSION,
        "protocol": PROTOCOL_VERSION,
        "python": {"version": platform.python_version(), "path": sys.executable},
        "packages": _versions(),
        "gateway": state and {"pid": state.pid, "url": state.url, "version": state.version},
        "settings": [
            {"name": name, "value": value, "origin": origin, "meaning": meaning}
            for name, value, origin, meaning in describe(settings, origins)
        ],
        "jupyter": [piece._asdict() for piece in findings.pieces],
        "problems": [problem._asdict() for problem in findings.problems],
    }
