"""What the news of a replica's pods mean: claims unheard, containers started again."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.specialisation import Hello
from jupyter_faas.providers.base import (
    ReplicaEvent,
    ReplicaFound,
    ReplicaGone,
    ReplicaStarted,
)
from jupyter_faas.providers.kubernetes.greeting import Met
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.pod_state import Ending, Pod, PodStage
from jupyter_faas.providers.kubernetes.replicas import Replicas
from tests.providers.contract import revision


class Greeted:
    """Every runner has answered."""

    def met(self, pod: Pod) -> Met | None:
        hello = Hello(version="0", python="3.11", state="generic")
        return Met(pod.container_id, hello, None)

    def meet(self, pod: Pod) -> None:
        pass

    async def ask_now(self, pod: Pod) -> Met | None:
        return self.met(pod)


class World:
    """The replicas of one gateway, and what it says and deletes."""

    def __init__(self) -> None:
        self.said: list[ReplicaEvent] = []
        self.deleted: list[str] = []
        self.now_s = 0.0
        self.ledger = Ledger(self.said.append)
        api: Any = None
        greeter: Any = Greeted()
        self.replicas = Replicas(
            api,
            self.ledger,
            greeter,
            self.said.append,
            lambda pod: None,
            self.run,
            lambda: self.now_s,
        )

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Note what is deleted: nothing else is done here."""
        assert work.cr_frame is not None
        self.deleted.append(work.cr_frame.f_locals["pod"].name)
        work.close()

    def want(self, pod: str = "") -> Want:
        want = Want("r", revision(), None, 0.0)
        want.pod = pod
        self.ledger.add(want)
        return want

    def kinds(self) -> list[type]:
        return [type(one) for one in self.said]


@pytest.fixture
def world() -> World:
    return World()


def pod(name: str = "a", **fields: Any) -> Pod:
    shown: dict[str, Any] = {
        "namespace": "n",
        "name": name,
        "uid": name,
        "version": "1",
        "role": "replica",
        "replica": "r",
        "stage": PodStage.RUNNING,
        "address": "10.0.0.1:8600",
        "container_id": "c1",
    }
    return Pod(**{**shown, **fields})


def restarted(shown: Pod, container_id: str = "c2") -> Pod:
    ending = Ending("out_of_memory", "Too much.")
    return msgspec.structs.replace(shown, container_id=container_id, ending=ending)


# -- claims whose answers were lost


def test_a_pod_claimed_unheard_goes_when_another_one_was_claimed_since(world):
    world.want(pod="b")
    world.replicas.on_pod(pod("b"))
    world.replicas.on_pod(pod("a"))
    assert world.deleted == ["a"]
    assert world.replicas.find("r").name == "b"


def test_a_pod_claimed_unheard_goes_also_if_it_was_seen_before(world):
    want = world.want()
    world.replicas.on_pod(pod("a"))
    assert world.deleted == [], "the answer may be on its way"
    want.pod = "b"
    world.replicas.on_pod(pod("b"))
    assert world.deleted == ["a"]
    assert world.replicas.find("r").name == "b"
    world.replicas.on_gone(pod("a"))
    assert world.replicas.find("r").name == "b"


async def test_two_pods_of_a_gateway_that_died_are_one_too_many(world):
    world.replicas.on_pod(pod("a"))
    world.replicas.on_pod(pod("b"))
    assert world.deleted == []
    world.now_s = 200.0
    assert await world.replicas.abandoned(180.0) == ["r"]
    assert world.deleted == ["b"]


def test_a_second_pod_takes_over_when_the_first_one_has_gone(world):
    world.replicas.on_pod(pod("a"))
    world.replicas.on_pod(pod("b"))
    world.replicas.on_gone(pod("a"))
    assert world.replicas.find("r").name == "b"
    assert world.kinds() == [ReplicaFound, ReplicaGone, ReplicaFound]


# -- containers that are started again


@pytest.mark.parametrize("steps", [["restarting", "again"], ["again"]], ids="-".join)
def test_a_container_that_was_started_again_is_lost_then_found(world, steps):
    want = world.want(pod="a")
    world.replicas.on_pod(pod())
    world.ledger.started(want, pod(), None)
    ended = msgspec.structs.replace(restarted(pod()), stage=PodStage.RESTARTING, container_id="c1")
    news = {"restarting": ended, "again": restarted(pod())}
    for step in steps:
        world.replicas.on_pod(news[step])
    assert world.kinds() == [ReplicaStarted, ReplicaGone, ReplicaFound]
    assert world.said[1].reason == "out_of_memory"
    assert world.deleted == []


def test_others_replicas_are_lost_and_found_alike(world):
    world.replicas.on_pod(pod())
    world.replicas.on_pod(restarted(pod()))
    world.replicas.on_pod(restarted(pod()))
    world.replicas.on_pod(restarted(pod(), "c3"))
    assert world.kinds() == [
        ReplicaFound, ReplicaGone, ReplicaFound, ReplicaGone, ReplicaFound
    ]  # fmt: skip


def test_a_container_that_crashes_again_and_again_is_given_up(world):
    world.replicas.on_pod(pod())
    world.replicas.on_pod(msgspec.structs.replace(restarted(pod()), stage=PodStage.RESTARTING))
    world.replicas.on_pod(msgspec.structs.replace(restarted(pod()), stage=PodStage.GONE))
    assert world.kinds() == [ReplicaFound, ReplicaGone]
    assert world.deleted == ["a"]


def test_a_container_that_ends_before_its_runner_has_answered_is_a_failed_start(world):
    world.want(pod="a")
    world.replicas.on_pod(pod(stage=PodStage.STARTING, container_id=""))
    world.replicas.on_pod(msgspec.structs.replace(restarted(pod()), stage=PodStage.RESTARTING))
    (gone,) = world.said
    assert gone.reason == "start_failed"
    assert world.deleted == ["a"]
    world.replicas.on_pod(restarted(pod()))
    assert len(world.said) == 1, "it is being deleted"
