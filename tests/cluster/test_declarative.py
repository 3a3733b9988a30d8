"""kubectl alone is a whole client: apply, scale, wait, describe, delete, and repair of damage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.conftest import KubectlFailed
from tests.cluster.system import System, inline, took_s
from tests.support import wait_until

HELLO = "def hello(name='world'):\n    return f'hello {name}'\n"
FAST_S = 20.0
"""Bound of what takes a second, on a machine that others use too; bench/ measures it."""


@pytest.fixture
def hello(system: System) -> Iterator[str]:
    system.apply(inline("hello", HELLO))
    system.wait_ready("hello")
    yield "hello"
    system.delete("hello")


def test_applied_source_answers_over_http(system: System, hello: str) -> None:
    assert system.call(hello, {"name": "fn"}).body == b"hello fn"


def test_apply_to_first_answer_is_fast(system: System) -> None:
    def first() -> None:
        system.apply(inline("quick", HELLO.replace("hello(", "quick(")))
        wait_until(lambda: system.call("quick", {}).status == 200, FAST_S)

    try:
        assert took_s(first) < FAST_S
    finally:
        system.delete("quick")


def test_a_changed_field_is_a_new_revision(system: System, hello: str) -> None:
    system.apply(inline(hello, HELLO.replace("hello {", "hi {")))
    wait_until(lambda: system.call(hello, {}).body == b"hi world", 60.0)
    assert system.call(hello, {}).headers["faas-revision"] == "2"
    assert {one["metadata"]["name"] for one in system.list("functionrevisions")} >= {
        "hello-1",
        "hello-2",
    }


def test_scaling_alone_is_no_new_revision(system: System, hello: str) -> None:
    system.kubectl("scale", "fn/hello", "--replicas=3")
    wait_until(lambda: len(system.ready_replicas(hello)) == 3, 60.0)
    assert system.get("fn", hello)["status"]["latestRevision"] == "hello-1"
    wait_until(lambda: system.get("fn", hello)["status"].get("replicas") == 3, 60.0)


def test_delete_leaves_nothing(system: System) -> None:
    system.apply(inline("gone", HELLO.replace("hello(", "gone(")))
    system.wait_ready("gone")
    system.delete("gone")

    def revisions() -> list[str]:
        found = [one["spec"]["function"] for one in system.list("functionrevisions")]
        return [one for one in found if one == "gone"]

    wait_until(lambda: not revisions(), 60.0, what="the cluster collects its revisions")
    # Each gateway hears of it by itself.
    wait_until(lambda: all(system.call("gone", {}).status == 404 for _ in range(10)), 60.0)


def test_status_says_what_is_observed(system: System, hello: str) -> None:

    def observed() -> dict | None:
        found = system.get("fn", hello)
        is_seen = found["status"].get("observedGeneration") == found["metadata"]["generation"]
        return found if is_seen else None

    found = wait_until(observed, 60.0, seen=lambda: system.get("fn", hello))
    assert found["status"]["url"].endswith(f"/function/{system.namespace}/{hello}")
    assert system.condition(hello)["status"] == "True"


def test_events_appear_in_describe(system: System, hello: str) -> None:
    wait_until(lambda: "Events:" in system.kubectl("describe", "fn", hello), 60.0)
    shown = wait_until(
        lambda: (
            text
            if "Deployed" in (text := system.kubectl("describe", "fn", hello)) or "Scaled" in text
            else ""
        ),
        60.0,
        what="an event of the function",
    )
    assert hello in shown


def test_weights_really_split(system: System, hello: str) -> None:
    system.apply(inline(hello, HELLO.replace("hello {", "hi {")))
    wait_until(lambda: system.call(hello, {}).headers.get("faas-revision") == "2", 60.0)
    split = [{"revision": 1, "percent": 50}, {"revision": 2, "percent": 50}]
    system.kubectl(
        "patch", "fn", hello, "--type=merge", "-p", json.dumps({"spec": {"traffic": split}})
    )

    def both() -> bool:
        seen = {system.call(hello, {}).headers["faas-revision"] for _ in range(20)}
        return seen == {"1", "2"}

    wait_until(both, 60.0)


@pytest.mark.parametrize("when", ["applied with it", "changed to it"])
def test_traffic_to_a_revision_that_is_not_there_is_told(system: System, when: str) -> None:
    traffic = [{"revision": 7, "percent": 90}, {"latest": True, "percent": 10}]
    lost = inline("lost", HELLO.replace("hello(", "lost("))
    if when == "changed to it":
        system.apply(lost)
        system.wait_ready("lost")
    system.apply({**lost, "spec": {**lost["spec"], "traffic": traffic}})
    try:
        told = wait_until(
            lambda: found if (found := system.condition("lost")).get("status") == "False" else None,
            60.0,
            seen=lambda: system.condition("lost"),
        )
        assert told["reason"] == "RevisionNotFound"
        assert "revision 7" in told["message"].lower()
        assert system.call("lost", {}).status == 200, "the newest serves meanwhile"
        system.apply(lost)
        system.wait_ready("lost")
    finally:
        system.delete("lost")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"scaling": {"minContainers": 5, "maxContainers": 2}}, "maxContainers"),
        ({"code": {"digest": "sha256:" + "0" * 64}}, "source"),
        ({"traffic": [{"revision": 1, "percent": 50}]}, "100"),
    ],
)
def test_what_cannot_be_is_refused_at_apply(system: System, spec: dict, said: str) -> None:
    with pytest.raises(KubectlFailed, match=said):
        system.apply(inline("bad", HELLO, **spec))


def _delete_pods(system: System) -> None:
    system.kubectl("delete", "pods", "-l", "jupyter-faas.io/function=hello", "--wait=false")


def _edit_labels(system: System) -> None:
    pod = system.replicas("hello")[0]["metadata"]["name"]
    system.kubectl("label", "pod", pod, "jupyter-faas.io/function-", "jupyter-faas.io/replica-")


def _wipe_status(system: System) -> None:
    system.kubectl(
        "patch", "fn", "hello", "--subresource=status", "--type=merge", "-p",
        json.dumps({"status": None}),
    )  # fmt: skip


def _delete_revision(system: System) -> None:
    system.kubectl("delete", "functionrevision", "hello-1", "--wait=false")


@pytest.mark.parametrize("damage", [_delete_pods, _edit_labels, _wipe_status, _delete_revision])
def test_damage_by_hand_is_repaired(
    system: System, hello: str, damage: Callable[[System], None]
) -> None:
    system.kubectl("scale", "fn/hello", "--replicas=1")
    wait_until(lambda: len(system.ready_replicas(hello)) == 1, 60.0)
    damage(system)

    def whole() -> bool:
        return (
            system.call(hello, {}).status == 200
            and system.condition(hello).get("status") == "True"
            and system.exists("functionrevision", "hello-1")
            and len(system.ready_replicas(hello)) >= 1
        )

    wait_until(
        whole, 60.0, seen=lambda: (system.get("fn", hello).get("status"), system.replicas(hello))
    )


def test_a_service_is_made_where_it_is_asked_for_and_never_taken_from_somebody(
    system: System,
) -> None:
    taken = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken"},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    }
    system.apply(taken)
    source = "def f():\n    return 1\n"
    for name in ("taken", "exposed"):
        system.apply(inline(name, source, code={"entry": "f"}, expose="service"))
    try:
        for name in ("taken", "exposed"):
            system.wait_ready(name)
        wait_until(lambda: system.exists("service", "exposed"), 60.0)
        assert system.get("service", "exposed")["spec"]["type"] == "ExternalName"
        assert system.get("service", "taken")["spec"]["selector"] == {"app": "theirs"}
        system.delete("exposed")
        wait_until(lambda: not system.exists("service", "exposed"), 60.0)
    finally:
        for name in ("taken", "exposed"):
            system.delete(name)
    assert system.exists("service", "taken")
    system.kubectl("delete", "service", "taken")
