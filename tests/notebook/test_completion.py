"""Completion behind the magics: what may stand there, from a gateway that is there."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from jupyter_faas.client.session import session
from jupyter_faas.notebook import known_names
from jupyter_faas.notebook.completion import Completion, complete
from tests.client.pretend_gateway import TOKEN, PretendGateway
from tests.support import state_dir


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("st", ["status"]),
        ("re", ["replicas", "revisions"]),
        ("status ", ["clean", "score"]),
        ("status sc", ["score"]),
        ("status score ", []),
        ("logs sc", ["score"]),
        ("list ", []),
        ("scale score --max", ["--max-containers"]),
        ("scale score --min-containers 2 --min", []),
        ("scale score --min-containers ", []),
        ("nothing x", []),
        ("panel s", ["score"]),
        ("capture s", ["score"]),
        ("connect ", []),
    ],
)
def test_lines(line: str, found: list[str]) -> None:
    *words, symbol = line.split(" ")
    assert complete(words, symbol, is_cell=False, names=lambda: ["score", "clean"]) == found


def test_the_magic_is_found_in_its_line() -> None:
    assert asked("x = %faas stat") == asked("  %faas stat") == ["status"]
    assert asked("%%faas de") == ["deploy"]
    assert asked("x.faas stat") == asked("print('%faas stat") == asked("%faas 'stat") == []


def test_cells() -> None:
    assert complete([], "", is_cell=True, names=list) == ["--help", "deploy", "run"]
    assert "--min-containers" in complete(["deploy"], "--m", is_cell=True, names=list)
    given = ["deploy", "--env", "A=1"]
    assert complete(given, "--en", is_cell=True, names=list) == ["--entry", "--env"]
    assert complete(["run"], "", is_cell=True, names=lambda: ["score"]) == []


def asked(line: str) -> list[str]:
    return Completion(dict).of(line)


@pytest.fixture
def no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(session, "gateway", None)


def test_no_gateway_is_started(no_gateway: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with state_dir() as path:
        monkeypatch.setenv("FAAS_STATE_DIR", str(path))
        assert asked("%faas status ") == []
        assert known_names.found() is None
        assert not (path / "gateway.json").exists()


def test_names_come_from_the_gateway(
    gateway: PretendGateway, no_gateway: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAAS_GATEWAY_URL", gateway.address)
    monkeypatch.setenv("FAAS_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setattr(known_names, "MOMENT_S", 20.0)  # a busy machine's
    assert known_names.ask() == list(gateway.functions)


def test_a_silent_gateway_does_not_make_typing_wait(
    no_gateway: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with state_dir() as path, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "s"))
        listener.listen()
        monkeypatch.setenv("FAAS_GATEWAY_URL", f"unix:{path / 's'}")
        began_s = time.monotonic()
        assert asked("%faas status ") == []
        assert time.monotonic() - began_s < 20
