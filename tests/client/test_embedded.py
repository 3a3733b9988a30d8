"""Finding and starting the embedded gateway, with a fake one on the real wire."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_faas.client import embedded
from jupyter_faas.client.embedded import GatewayAddress, ensure_gateway, running_gateway
from jupyter_faas.client.state_file import (
    GatewayState,
    load_settings,
    mark_ended,
    new_token,
    prepare_state_dir,
    read_state,
    settings_and_origins,
    write_state,
)
from jupyter_faas.core.errors import EnvironmentMismatch, GatewayUnavailable, InvalidSpec
from jupyter_faas.core.settings import Settings, StatePaths
from tests.support import is_alive, state_dir, wait_until

FAKE = Path(__file__).with_name("fake_gateway.py")


@pytest.fixture
def settings() -> Iterator[Settings]:
    """Settings of a state directory whose gateways are ended after the test."""
    with state_dir() as path:
        yield Settings(state_dir=str(path), connect_timeout_s=20.0, start_timeout_s=60)
        for pid in starts(path):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, starts(path))))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that decides which traits a started gateway has."""

    def use(*traits: str) -> None:
        argv = [sys.executable, str(FAKE), *traits]
        monkeypatch.setattr(embedded, "gateway_command", lambda: argv)

    use()
    return use


def starts(path: Path) -> list[int]:
    file = path / "starts"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def paths_of(settings: Settings) -> StatePaths:
    return StatePaths(settings.state_dir)


def test_the_first_use_starts_it_and_the_next_finds_it(settings, fake):
    first = ensure_gateway(settings)
    assert ensure_gateway(settings) == first
    assert len(starts(paths_of(settings).root)) == 1
    assert first.address == f"unix:{settings.state_dir}/gateway.sock"


def test_two_that_start_at_once_get_one_gateway(settings, fake):
    found: list[GatewayAddress] = []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_gateway(settings))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(starts(paths_of(settings).root)) == 1


def test_it_has_a_session_of_its_own_and_no_gateway_variables(settings, fake, monkeypatch):
    monkeypatch.setenv("FAAS_GATEWAY_TOKEN", "of-another")
    ensure_gateway(settings)
    (pid,) = starts(paths_of(settings).root)
    assert os.getsid(pid) == pid
    assert b"of-another" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_killed_with_9_it_is_started_anew_and_is_no_zombie(settings, fake):
    ensure_gateway(settings)
    (pid,) = starts(paths_of(settings).root)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="it has been waited for")
    ensure_gateway(settings)
    assert len(starts(paths_of(settings).root)) == 2


def test_what_cannot_start_says_so_with_the_end_of_its_log(settings, fake):
    fake("fails")
    with pytest.raises(GatewayUnavailable) as caught:
        ensure_gateway(settings)
    assert "this gateway cannot live" in caught.value.detail
    assert "ended with status 1" in caught.value.detail
    assert "jupyter-faas doctor" in caught.value.detail


def test_what_does_not_get_ready_is_ended_in_time(settings, fake, monkeypatch):
    fake("never_ready")
    children = []
    spawn = embedded._spawn
    monkeypatch.setattr(
        embedded, "_spawn", lambda *how: children.append(spawn(*how)) or children[0]
    )
    quick = msgspec.structs.replace(settings, start_timeout_s=1.0)
    began = time.monotonic()
    with pytest.raises(GatewayUnavailable, match="was not ready"):
        ensure_gateway(quick)
    assert time.monotonic() - began < 60
    wait_until(lambda: not is_alive(children[0].pid))


def test_one_that_hangs_is_unavailable_with_advice_within_the_time(settings, fake):
    ensure_gateway(settings)
    (pid,) = starts(paths_of(settings).root)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(GatewayUnavailable, match=f"kill -9 {pid}"):
        ensure_gateway(msgspec.structs.replace(settings, connect_timeout_s=1.0))
    assert time.monotonic() - began < 60


def test_another_version_is_said_and_an_incompatible_one_refused(settings, fake):
    fake("old")
    with pytest.warns(UserWarning, match=r"version 0\.0\.1"):
        ensure_gateway(settings)
    os.kill(starts(paths_of(settings).root)[0], signal.SIGKILL)
    wait_until(lambda: running_gateway(paths_of(settings), 1.0) is None)
    fake("alien")
    with pytest.raises(EnvironmentMismatch, match="gateway --stop"):
        ensure_gateway(settings)


def test_a_directory_that_cannot_be_made_is_said(settings, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GatewayUnavailable, match="FAAS_STATE_DIR"):
        ensure_gateway(Settings(state_dir=str(tmp_path / "file/state")))


def test_a_directory_too_deep_for_a_socket_is_said_before_anything_starts(tmp_path):
    deep = tmp_path / ("x" * 100)
    with pytest.raises(GatewayUnavailable, match="too long for the address of a socket"):
        ensure_gateway(Settings(state_dir=str(deep)))
    assert not deep.exists()


def test_no_token_is_in_a_representation(settings, fake):
    found = ensure_gateway(settings)
    state = read_state(paths_of(settings))
    assert state is not None
    assert found.token == state.token
    assert found.token not in repr(found) + str(found) + repr(state) + str([state])


# The state file


def a_state(**changes: object) -> GatewayState:
    values = {"pid": 7, "socket": "/s", "url": "u", "token": "t", "version": "1", "protocol": 1}
    return GatewayState(**{**values, "started_at": 0.0, **changes})


def test_state_is_private_and_survives_the_end(tmp_path):
    paths = StatePaths(tmp_path / "state")
    prepare_state_dir(paths)
    write_state(paths, a_state())
    assert stat.S_IMODE(paths.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(paths.state_file.stat().st_mode) == 0o600
    mark_ended(paths, 7)
    assert read_state(paths) == a_state(pid=0)
    assert running_gateway(paths, 1.0) is None


def test_a_directory_that_was_open_is_closed_to_others(tmp_path):
    tmp_path.chmod(0o755)
    prepare_state_dir(StatePaths(tmp_path))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_the_next_gateway_s_state_is_not_marked_ended(tmp_path):
    paths = StatePaths(tmp_path)
    write_state(paths, a_state(pid=8))
    mark_ended(paths, 7)
    assert read_state(paths) == a_state(pid=8)


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}', "[]"])
def test_a_broken_state_file_is_none(tmp_path, content):
    paths = StatePaths(tmp_path)
    paths.state_file.write_text(content)
    assert read_state(paths) is None


def test_tokens_have_32_bytes_and_differ():
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) == 43


# faas.toml


def test_settings_are_read_from_the_file_of_the_user(tmp_path):
    file = tmp_path / "faas.toml"
    environ = {"HOME": str(tmp_path), "FAAS_CONFIG": str(file)}
    assert load_settings(environ).port == 0
    file.write_text("port = 8099")
    settings, origins = settings_and_origins(environ)
    assert settings.port == 8099
    assert origins["port"] == "faas.toml"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    environ = {"HOME": str(tmp_path), "FAAS_CONFIG": str(tmp_path)}
    with pytest.raises(InvalidSpec, match=str(tmp_path)):
        load_settings(environ)
