"""A Jupyter server of the tests' own: free port, own configuration, data and state."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat

from tests.support import children, free_ports, is_alive, wait_until

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "jupyter_faas" / "_labextension" / "package.json"
"""There once the lab extension is built."""

_QUIET = {"fetchNews": "false", "checkForUpdates": False}
"""No pop-up that asks whether to fetch news: it would lie over what a test clicks."""


class Lab:
    """A running Jupyter server: JupyterLab, and Notebook 7 beside it.

    Args:
        folder: Holds everything it writes.
        state_dir: Of the embedded gateway (`FAAS_STATE_DIR`).
        has_extension: Without: as where our package is installed for kernels alone.
    """

    def __init__(self, folder: Path, state_dir: Path, *, has_extension: bool = True) -> None:
        self.notebooks = folder / "notebooks"
        self.has_extension = has_extension
        self._folder = folder
        self._state_dir = state_dir
        self._token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.notebooks.mkdir(parents=True)
        self._write_settings()
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}/"
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.notebooks,
            "ServerApp.open_browser": False,
            "ServerApp.allow_root": True,
            "IdentityProvider.token": self._token,
            "LabApp.expose_app_in_browser": True,
            "LabApp.extension_manager": "readonly",
            "JupyterNotebookApp.expose_app_in_browser": True,
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter", "lab", "--no-browser"),
                    *(f"--{name}={value}" for name, value in options.items()),
                ],
                env=self._environ(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.notebooks,
                # A signal to its process group is not for whoever runs the tests.
                start_new_session=True,
            )
        wait_until(self._answers, 120.0, what="Jupyter answers", seen=self.last_lines)

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self._folder / "jupyter.log"

    def last_lines(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def url(self, path: str = "") -> str:
        """Return the address of a page; with the token, which the browser then has as a cookie."""
        return f"{self._url}{path}?token={self._token}&reset"

    def write(self, name: str, cells: Sequence[str]) -> None:
        """Write a notebook."""
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
        nbformat.write(notebook, self.notebooks / name)

    def layout(self) -> str:
        """Return what is written down of what is open; JupyterLab writes a moment later."""
        files = (self._folder / "workspaces").glob("*.jupyterlab-workspace")
        return "".join(file.read_text() for file in files)

    def end_kernels(self) -> None:
        """End every kernel: the pages that had them are gone."""
        for session in self._ask("GET", "api/sessions"):
            # One that is being restarted cannot be ended: it ends with the server.
            with suppress(urllib.error.HTTPError):
                self._ask("DELETE", f"api/sessions/{session['id']}")

    def interrupt_kernels(self) -> None:
        """Interrupt what runs in any notebook."""
        for kernel in self._ask("GET", "api/kernels"):
            self._ask("POST", f"api/kernels/{kernel['id']}/interrupt")

    def stop(self) -> None:
        """End it and its kernels; fails if something of it stays."""
        process = self._process
        if process is None:
            return
        pids = [process.pid, *children(process.pid)]  # a gateway that a kernel started goes on
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        wait_until(lambda: not any(map(is_alive, pids)), what="the server's kernels are gone")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Jupyter has ended:\n{self.last_lines()}")
        try:
            with urllib.request.urlopen(f"{self._url}api", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _ask(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"token {self._token}"}
        request = urllib.request.Request(f"{self._url}{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def _environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        folders = {
            f"JUPYTER_{name}_DIR": str(self._folder / name.lower())
            for name in ("CONFIG", "DATA", "RUNTIME")
        }
        return {
            **kept,
            **folders,
            "JUPYTERLAB_SETTINGS_DIR": str(self._folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._folder / "workspaces"),
            "JUPYTER_PREFER_ENV_PATH": "0",
            "IPYTHONDIR": str(self._folder / "ipython"),
            "FAAS_STATE_DIR": str(self._state_dir),
        }

    def _write_settings(self) -> None:
        config = self._folder / "config"
        extensions = {"jpserver_extensions": {"jupyter_faas.server": self.has_extension}}
        _write_json(config / "jupyter_server_config.json", {"ServerApp": extensions})
        if not self.has_extension:
            pages = {"disabledExtensions": {"jupyter-faas": True}}
            _write_json(config / "labconfig" / "page_config.json", pages)
        apputils = self._folder / "settings" / "@jupyterlab" / "apputils-extension"
        _write_json(apputils / "notification.jupyterlab-settings", _QUIET)

    def choose_theme(self, name: str) -> None:
        """Have pages that are loaded from now on in a theme: `JupyterLab Dark`."""
        apputils = self._folder / "settings" / "@jupyterlab" / "apputils-extension"
        _write_json(apputils / "themes.jupyterlab-settings", {"theme": name})


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
