"""What `jupyter-faas doctor` finds of what Jupyter should find."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from jupyter_faas.cli import jupyter_checks
from jupyter_faas.cli.jupyter_checks import Piece, Places, look_at_jupyter, places

ROOT = Path(__file__).parents[1]


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """An environment with every part of Jupyter and all that belongs in it."""
    monkeypatch.setattr(jupyter_checks.importlib.util, "find_spec", lambda name: object())
    for place in ("user", "env"):
        (tmp_path / place).mkdir()
    env = tmp_path / "env"
    shutil.copytree(ROOT / "kernels", env / "kernels")
    shutil.copytree(ROOT / "etc/jupyter", env, dirs_exist_ok=True)
    (env / "labextensions/jupyter-faas").mkdir(parents=True)
    (env / "labextensions/jupyter-faas/package.json").write_text("{}")
    both = (str(tmp_path / "user"), str(env))
    return Places(both, both)


def found(where: Places) -> dict[str, Piece]:
    return {piece.name: piece for piece in look_at_jupyter(where)}


def test_this_environment_has_the_kernel_and_the_server_extension() -> None:
    where = places()
    assert where is not None
    pieces = found(where)
    for name in ("kernel", "provisioner", "server extension"):
        assert pieces[name].where, pieces[name]
        assert not pieces[name].trouble


def test_nothing_is_wrong_when_all_is_in_its_place(where: Places) -> None:
    pieces = found(where)
    assert list(pieces) == ["kernel", "provisioner", "server extension", "lab extension"]
    assert not [piece for piece in pieces.values() if piece.trouble or not piece.where]


@pytest.mark.parametrize(
    ("path", "name", "says"),
    [
        ("kernels/python3-serverless", "kernel", "is not installed"),
        ("jupyter_server_config.d", "server extension", "is not enabled"),
        ("labextensions/jupyter-faas", "lab extension", "is not installed"),
    ],
)
def test_a_piece_that_is_missing_is_told_with_what_to_do(
    where: Places, path: str, name: str, says: str
) -> None:
    shutil.rmtree(Path(where.data[1]) / path)
    piece = found(where)[name]
    assert not piece.where
    assert says in piece.trouble
    assert "pip install" in piece.advice


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {"metadata": {"kernel_provisioner": {"provisioner_name": "old"}}},
            "names the provisioner",
        ),
        ({"metadata": {}}, "cannot be used: KeyError"),
    ],
)
def test_an_older_kernelspec_of_the_user_that_hides_ours_is_told(
    where: Places, spec: object, says: str
) -> None:
    hiding = Path(where.data[0]) / "kernels/python3-serverless"
    hiding.mkdir(parents=True)
    (hiding / "kernel.json").write_text(json.dumps(spec))
    piece = found(where)["kernel"]
    assert piece.where == str(hiding)
    assert says in piece.trouble
    assert f"Delete {hiding}" in piece.advice


def test_an_extension_that_the_user_has_turned_off_is_told(where: Places) -> None:
    config = Path(where.config[0]) / "jupyter_server_config.d"
    config.mkdir()
    off = {"ServerApp": {"jpserver_extensions": {"jupyter_faas.server": False}}}
    (config / "mine.json").write_text(json.dumps(off))
    (config / "other.json").write_text("not JSON")
    piece = found(where)["server extension"]
    assert "is turned off in" in piece.trouble
    assert piece.advice == "`jupyter server extension enable jupyter_faas.server`"


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "is not registered"),
        ([metadata.EntryPoint("jupyter-faas", "no_such_module:X", "g")], "cannot be loaded"),
    ],
)
def test_a_provisioner_that_jupyter_cannot_load_is_told(
    where: Places, monkeypatch: pytest.MonkeyPatch, entries: list[metadata.EntryPoint], says: str
) -> None:
    monkeypatch.setattr(jupyter_checks.metadata, "entry_points", lambda **_: entries)
    assert says in found(where)["provisioner"].trouble
