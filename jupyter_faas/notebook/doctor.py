"""`%faas doctor`: what `jupyter-faas doctor` finds with this kernel's environment, as a display.

The command runs as a process of its own: it looks at this machine, which is not a notebook's
business, and it starts nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from jupyter_faas.client import markup
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import InternalError

_TIMEOUT_S = 30.0


class Doctor:
    """What was found.

    Attributes:
        document: As `jupyter-faas doctor --json` says it.
    """

    def __init__(self, document: dict[str, Any], connected: str) -> None:
        self.document = document
        self._connected = connected

    def __repr__(self) -> str:
        settings = markup.text_table(_HEADER, self._settings())
        problems = "\n".join(f"✕ {what}\n  → {advice}" for what, advice in self._problems())
        head = "\n".join(f"{label:<10} {value}" for label, value in self._head())
        return f"{head}\n\n{settings}\n\n{problems or 'No problems found.'}"

    def _repr_html_(self) -> str:
        head = markup.html_fields("jupyter_faas", "", self._head())
        settings = markup.html_table(_HEADER, self._settings(), "Settings")
        problems = markup.html_table(("problem", "what to do"), self._problems(), "Problems")
        return head + settings + (problems if self._problems() else "<i>No problems found.</i>")

    def _head(self) -> list[tuple[str, str]]:
        found, gateway = self.document, self.document["gateway"]
        running = f"running at {gateway['url']}" if gateway else "not running"
        return [
            ("version", f"{found['version']}, protocol {found['protocol']}"),
            ("python", f"{found['python']['version']}  {found['python']['path']}"),
            ("embedded", running),
            ("kernel", self._connected),
        ]

    def _settings(self) -> list[tuple[str, str, str, str]]:
        return [
            (one["name"], one["value"], one["origin"], one["meaning"])
            for one in self.document["settings"]
        ]

    def _problems(self) -> list[tuple[str, str]]:
        return [(one["what"], one["advice"]) for one in self.document["problems"]]


_HEADER = ("setting", "value", "from", "meaning")


def look() -> Doctor:
    """Look, and return what was found; starts no gateway.

    Raises:
        InternalError: The command could not be run.
    """
    command = [sys.executable, "-P", "-m", "jupyter_faas", "doctor", "--json"]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
        document = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        raise InternalError(f"jupyter-faas doctor did not answer: {error}") from error
    gateway = session.gateway
    connected = "connected to none yet" if gateway is None else f"connected to {gateway.place}"
    return Doctor(document, connected)
