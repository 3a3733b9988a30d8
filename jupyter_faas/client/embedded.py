"""Finds the embedded gateway of this user, and starts it if there is none.

Called by `connect` on first use, in the notebook's kernel: nothing here uses an event loop, and
whatever a kernel does afterwards (interrupt, restart) the gateway does not notice. Two kernels
that start at once get one gateway: a file lock lets one of them start it, the other finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import jupyter_faas
from jupyter_faas.client.state_file import (
    GatewayState,
    last_lines,
    prepare_state_dir,
    read_state,
)
from jupyter_faas.core.errors import EnvironmentMismatch, GatewayUnavailable
from jupyter_faas.core.model import speaks
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.core.version import VERSION

READY_FD = 3
"""Descriptor a gateway writes to once it answers."""

ALREADY_RUNNING = 3
"""Exit code of a gateway that found another one in its state directory."""

_PAUSE_S = 0.005
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: faas\r\nConnection: close\r\n\r\n"


class GatewayAddress(NamedTuple):
    """Where the embedded gateway is and how to talk to it."""

    socket: str
    """Path of its Unix socket."""
    url: str
    token: str
    provider: str
    version: str

    @property
    def address(self) -> str:
        """What is connected to: `unix:PATH`."""
        return f"unix:{self.socket}"

    def __repr__(self) -> str:
        return f"GatewayAddress(url={self.url!r}, version={self.version!r})"


def ensure_gateway(settings: Settings) -> GatewayAddress:
    """Return the embedded gateway of `settings.state_dir`, started if it was not running.

    Raises:
        GatewayUnavailable: It does not answer or could not be started; the text has the end of
            its log and what to do.
        EnvironmentMismatch: One of another, incompatible version is running.
    """
    paths = StatePaths(settings.state_dir)
    prepare_state_dir(paths)
    state = running_gateway(paths, settings.connect_timeout_s)
    if state is None:
        deadline = time.monotonic() + settings.start_timeout_s
        with _start_lock(paths, deadline):
            state = running_gateway(paths, settings.connect_timeout_s)
            if state is None:
                state = _start(settings, paths, deadline)
    _check_version(state)
    return GatewayAddress(state.socket, state.url, state.token, state.provider, state.version)


def running_gateway(paths: StatePaths, timeout_s: float) -> GatewayState | None:
    """Return the state of the gateway that answers here; None if none is running.

    Raises:
        GatewayUnavailable: One is running and does not answer within `timeout_s`.
    """
    state = read_state(paths)
    if state is None or state.pid == 0:
        return None
    try:
        is_healthy = _answers(state.socket, timeout_s)
    except TimeoutError as error:
        raise GatewayUnavailable(
            f"The gateway (pid {state.pid}) has not answered for {timeout_s:g} s. "
            f"It may be stopped or overloaded; `kill -9 {state.pid}` and call again starts a new "
            f"one, and nothing that is deployed is lost. Its log: {paths.log}"
        ) from error
    return state if is_healthy else None


def _answers(path: str, timeout_s: float) -> bool:
    """Return whether a healthy gateway listens; False at once if nobody does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(path)
            connection.sendall(_HEALTH)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
        except TimeoutError:
            raise
        except OSError:
            return False


@contextlib.contextmanager
def _start_lock(paths: StatePaths, deadline: float) -> Iterator[None]:
    """Hold the right to start a gateway here; another kernel may be doing so now."""
    with (paths.root / "start.lock").open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise GatewayUnavailable(
                        "Another process has been starting the gateway for too long. "
                        f"Its log: {paths.log}\n{last_lines(paths.log)}"
                    ) from None
                time.sleep(_PAUSE_S)
        yield


def _start(settings: Settings, paths: StatePaths, deadline: float) -> GatewayState:
    ready, told = os.pipe()
    try:
        child = _spawn(settings, paths, told)
    finally:
        os.close(told)
    with open(ready, "rb", buffering=0) as pipe:
        # An interrupt ends the waiting, not the gateway: the next call finds it.
        is_told = _wait_readable(pipe.fileno(), deadline)
        is_ready = is_told and pipe.read(1) == b"1"
    state = read_state(paths)
    if is_ready and state is not None:
        return state
    if not is_told:
        os.kill(child.pid, signal.SIGKILL)
    return _found_instead(child, paths, deadline) or _failed(child, settings, paths, is_told)


def _wait_readable(descriptor: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _found_instead(child: _Child, paths: StatePaths, deadline: float) -> GatewayState | None:
    """Return the gateway that was already running when `child` came, e.g. started by hand."""
    child.join(timeout=1.0)
    while child.exit_code == ALREADY_RUNNING and time.monotonic() < deadline:
        if state := running_gateway(paths, timeout_s=1.0):
            return state
        time.sleep(_PAUSE_S)
    return None


def _failed(child: _Child, settings: Settings, paths: StatePaths, has_ended: bool) -> NoReturn:
    how = f"ended with status {child.exit_code}" if has_ended else "was not ready"
    raise GatewayUnavailable(
        f"The embedded gateway could not be started: it {how} "
        f"(waited up to {settings.start_timeout_s:g} s). "
        f"`jupyter-faas doctor` looks for the cause. Its log, {paths.log}, ends with:\n"
        f"{last_lines(paths.log)}"
    )


class _Child(threading.Thread):
    """A started gateway; the thread waits for its end, so that it is never a zombie here."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="jupyter-faas-gateway-child", daemon=True)
        self.pid = pid
        self.exit_code: int | None = None
        self.start()

    def run(self) -> None:
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(self.pid, 0)
            self.exit_code = os.waitstatus_to_exitcode(status)


def _spawn(settings: Settings, paths: StatePaths, told: int) -> _Child:
    """Start a gateway in a session of its own, its output in the log."""
    if paths.log.exists() and paths.log.stat().st_size > settings.log_file_bytes:
        paths.log.replace(paths.log.with_suffix(".log.1"))
    log = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        pid = os.posix_spawn(
            sys.executable,
            gateway_command(),
            gateway_environ(settings),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, told, READY_FD),
            ],
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
            setsigmask=[],
        )
    except OSError as error:
        raise GatewayUnavailable(
            f"{sys.executable} cannot be started: {error.strerror}."
        ) from error
    finally:
        os.close(log)
        os.close(null)
    return _Child(pid)


def gateway_command() -> list[str]:
    """Return the argv of an embedded gateway that tells `READY_FD` when it answers."""
    return own_command("gateway", "--local", "--ready-fd", str(READY_FD))


def own_command(*words: str) -> list[str]:
    """Return the argv of a command of `jupyter-faas`, of this very installation."""
    # -P: a file in the notebook's directory must not shadow a module of ours.
    return [sys.executable, "-P", "-m", "jupyter_faas", *words]


def gateway_environ(settings: Settings) -> dict[str, str]:
    """Return the environment of commands that are about the embedded gateway."""
    environ = {
        name: text
        for name, text in os.environ.items()
        if name not in ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN")
    }
    environ["FAAS_STATE_DIR"] = settings.state_dir
    root = os.path.dirname(os.path.dirname(os.path.abspath(jupyter_faas.__file__)))
    if not root.endswith(("site-packages", "dist-packages")):
        # From a checkout: -P has taken the working directory off the path.
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environ.get("PYTHONPATH")]))
    return environ


def _check_version(state: GatewayState) -> None:
    if state.version == VERSION:
        return
    both = (
        f"The embedded gateway (pid {state.pid}) is version {state.version}, "
        f"this process has version {VERSION}"
    )
    advice = "`jupyter-faas gateway --stop`, then call again: what is deployed stays"
    if not speaks(state.protocol):
        raise EnvironmentMismatch(f"{both}; they do not understand each other. {advice}.")
    warnings.warn(f"{both}; to use one version: {advice}.", stacklevel=3)
