"""New code, old code, and who is served by which."""

from __future__ import annotations

from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until

pytestmark = pytest.mark.timeout(300)


def make(name: str, value: int, **settings: Any) -> Any:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(f"def f():\n    return {value}\n", space)
    return serverless(name=name, **settings)(space["f"])


def test_once_new_code_has_answered_nobody_gets_the_old(gateway: Gateway) -> None:
    for version in range(25):
        assert make("fresh", version).remote() == version
        assert gateway.call("fresh", {}).json() == version
        assert faas.function("fresh").traffic() == {version + 1: 100}


def test_a_revision_that_was_made_live_again_goes_to_zero_like_any_other(gateway: Gateway) -> None:
    first = make("again", 1, scaledown_window=0.5)
    first.remote()
    make("again", 2, scaledown_window=0.5).remote()
    faas.function("again").rollback()
    assert gateway.call("again", {}).json() == 1
    wait_until(
        lambda: not gateway.replicas("again"),
        30.0,
        what="no replica is left",
        seen=lambda: gateway.replicas("again"),
    )


def test_going_back_to_old_code_makes_its_revision_live_again(gateway: Gateway) -> None:
    assert make("back", 1).remote() == 1
    assert make("back", 2).remote() == 2
    assert make("back", 1).remote() == 1
    assert faas.function("back").traffic() == {1: 100}
    assert [row.number for row in faas.function("back").revisions()] in ([1, 2], [2, 1])


def test_a_revision_that_cannot_start_leaves_the_old_one_serving(gateway: Gateway) -> None:
    make("stays", 1).remote()
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("class Broken:\n def __init__(self):\n  1 / 0\n def f(self):\n  return 2\n", space)
    broken = serverless(name="stays")(space["Broken"])
    with pytest.raises((ZeroDivisionError, faas.RemoteError), match="division by zero"):
        broken.f.remote()
    assert gateway.call("stays", {}).json() == 1
    failed = [row for row in faas.function("stays").revisions() if row.state == "failed"]
    assert [row.number for row in failed] == [2]
    assert "division by zero" in failed[0].reason
