"""What is written down of each call: the outcome its caller saw, whatever form the answer had."""

from __future__ import annotations

import time
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until

pytestmark = pytest.mark.timeout(300)


@serverless(name="recorded", timeout=5.0)  # nothing but "late" takes that long
def recorded(what: str) -> Any:
    if what == "late":
        time.sleep(30)
    if what.startswith("talks"):
        print("said")
    if what.endswith("raises"):
        raise ValueError(what)
    return what


@serverless(name="recorded-stream", timeout=5.0)
def stream(what: str) -> Any:
    yield 1
    if what == "late":
        time.sleep(30)
    if what == "raises":
        raise ValueError(what)


def outcomes(gateway: Gateway, name: str, count: int) -> list[tuple[str, str]]:
    """Return (outcome, code) of the calls of a function, oldest first, once there are `count`."""

    found: list[Any] = []

    def are_all_recorded() -> bool:
        answer = gateway.request("GET", f"/v1/functions/{name}/invocations")
        found[:] = answer.json()["invocations"]
        return len(found) >= count

    wait_until(are_all_recorded, seen=lambda: found)
    ordered = sorted(found, key=lambda one: one["startedAt"])
    return [(one["outcome"], one.get("code", "")) for one in ordered]


def test_a_call_is_recorded_as_what_its_caller_saw(gateway: Gateway) -> None:
    assert recorded.remote("fine") == "fine"
    assert recorded.remote("talks") == "talks"
    with pytest.raises(ValueError, match="raises"):
        recorded.remote("raises")
    with pytest.raises(faas.InvocationTimeout):
        recorded.remote("late")
    assert outcomes(gateway, "recorded", 4) == [
        ("done", ""),
        ("done", ""),
        ("error", "remote_error"),
        ("timeout", "timeout"),
    ]


@pytest.mark.parametrize("what", ["raises", "talks and raises"])
def test_why_a_call_failed_is_recorded_with_where(gateway: Gateway, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        recorded.remote(what)
    wait_until(lambda: any(f"ValueError: {what}\n" in why for why in whys(gateway)))
    first, *rest = whys(gateway)[0].split("\n")
    assert first == f"ValueError: {what}"
    assert any("in recorded" in line for line in rest), rest


def whys(gateway: Gateway) -> list[str]:
    """Return what is told of the failed calls of `recorded`, newest first."""
    found = gateway.request("GET", "/v1/functions/recorded/invocations").json()["invocations"]
    return [one["detail"] for one in found if one["outcome"] == "error"]


def test_a_stream_is_recorded_as_what_its_reader_saw(gateway: Gateway) -> None:
    assert list(stream.remote("fine")) == [1]
    with pytest.raises(ValueError, match="raises"):
        list(stream.remote("raises"))
    with pytest.raises(faas.InvocationTimeout):
        list(stream.remote("late"))
    assert outcomes(gateway, "recorded-stream", 3) == [
        ("done", ""),
        ("error", "remote_error"),
        ("timeout", "timeout"),
    ]
    replicas = faas.function("recorded-stream").replicas
    wait_until(lambda: [one.in_flight for one in replicas()] == [0], seen=replicas)
