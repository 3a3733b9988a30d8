"""Runs one gateway in this process, from its lock to its last word in the state file.

The order is the point: the lock (nobody else owns this directory), the zygote (it imports while
this process does), then everything heavy (`live.py`), the listeners, and last the state file by
which clients find it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import sys
import time

import click
import msgspec

from jupyter_faas.client.embedded import ALREADY_RUNNING, running_gateway
from jupyter_faas.client.state_file import (
    mark_ended,
    new_token,
    prepare_state_dir,
    read_state,
)
from jupyter_faas.core.errors import GatewayUnavailable
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.providers.local.process import birth_of_own, spawn_zygote
from jupyter_faas.providers.local.run_dir import run_directory

_LOCK_WAIT_S = 15.0
_STOP_WAIT_S = 45.0
_PAUSE_S = 0.005


def serve(settings: Settings, ready_fd: int | None, *, as_json: bool = False) -> int:
    """Run a gateway until it is told to end, or has been unused for long enough.

    Args:
        settings: Effective settings.
        ready_fd: Descriptor to write to once it answers: it was started by a client and may
            leave by itself. None: a person has started it.
        as_json: How to tell that person where it is.

    Returns:
        The exit code; `ALREADY_RUNNING` if another gateway has this state directory.
    """
    paths = StatePaths(settings.state_dir)
    prepare_state_dir(paths)
    idle = settings.idle_exit_s if ready_fd is not None else 0.0
    lock = _lock(paths)
    if lock is None:
        click.echo(f"A gateway is already running in {paths.root}.", err=True)
        return ALREADY_RUNNING
    try:
        os.chdir(paths.root)
        _allow_many_files()
        run_dir = run_directory(paths.run, os.environ)
        first = spawn_zygote(birth_of_own(settings.preload), run_dir, os.environ)
        # asyncio, the gateway: imported while the zygote imports.
        from jupyter_faas.cli.live import run  # noqa: PLC0415 - after the lock is taken

        run(_as_before(settings, paths), first, lambda url: _tell(url, ready_fd, as_json), idle)
    finally:
        mark_ended(paths, os.getpid())
        os.close(lock)
    return 0


def stop(settings: Settings) -> int:
    """End the running embedded gateway and wait for it; return its pid, 0 if there was none.

    Raises:
        GatewayUnavailable: It has not ended in time.
    """
    paths = StatePaths(settings.state_dir)
    state = read_state(paths)
    if state is None or not state.pid or not _is_locked(paths):
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WAIT_S
    while _is_locked(paths):
        if time.monotonic() > deadline:
            raise GatewayUnavailable(
                f"The gateway has not ended within {_STOP_WAIT_S:g} s: `kill -9 {state.pid}`; "
                "nothing that is deployed is lost."
            )
        time.sleep(_PAUSE_S)
    return state.pid


def _lock(paths: StatePaths) -> int | None:
    """Take the state directory for the life of this process; None if it is taken.

    One that is ending is waited for.
    """
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline or _is_answering(paths):
                os.close(descriptor)
                return None
            time.sleep(_PAUSE_S)


def _is_answering(paths: StatePaths) -> bool:
    try:
        return running_gateway(paths, timeout_s=1.0) is not None
    except GatewayUnavailable:
        return True  # it hangs, but it is there


def _is_locked(paths: StatePaths) -> bool:
    try:
        with paths.lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _as_before(settings: Settings, paths: StatePaths) -> Settings:
    """Return settings with the token, and if none is set the port, of the last gateway here."""
    last = read_state(paths)
    token = settings.gateway_token or (last.token if last else "") or new_token()
    port = settings.port
    if port == 0 and last is not None:
        port = _port_if_free(settings.host, last.url)
    return msgspec.structs.replace(settings, gateway_token=token, port=port)


def _port_if_free(host: str, url: str) -> int:
    _, _, port = url.rpartition(":")
    if not port.isdecimal():
        return 0
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return 0
    return int(port)


def _tell(url: str, ready_fd: int | None, as_json: bool) -> None:
    """Say that the gateway answers: to the client that started it, or to the person."""
    if ready_fd is not None:
        with contextlib.suppress(BrokenPipeError):
            os.write(ready_fd, b"1")  # the client may have been interrupted meanwhile
        os.close(ready_fd)
    elif as_json:
        click.echo(msgspec.json.encode({"url": url, "pid": os.getpid()}).decode())
    else:
        click.echo(f"Gateway at {url}; Ctrl-C ends it.")
    sys.stdout.flush()
