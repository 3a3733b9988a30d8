"""What a gateway on a cluster is sent, and what one sees while pods are not there yet."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec
import pytest

import jupyter_faas as faas
from jupyter_faas.client import control, waiting
from jupyter_faas.client.connect import connect
from jupyter_faas.client.progress import Progress
from jupyter_faas.client.session import Session, session
from jupyter_faas.core import requirements
from jupyter_faas.core.model import DeployRequest, RevisionSpec
from tests.client.pretend_gateway import TOKEN, PretendGateway
from tests.support import wait_until


def make(source: str = "return 1", **options: Any) -> Any:
    scope: dict[str, Any] = {"serverless": faas.serverless, "options": options}
    exec(f"import os\n@serverless(**options)\ndef answer():\n    {source}", scope)
    return scope["answer"]


def sent(gateway: PretendGateway) -> RevisionSpec:
    """What the last deploy asked for."""
    hits = [hit for hit in gateway.hits if hit.method == "PUT" and "/functions/" in hit.path]
    return msgspec.json.decode(hits[-1].body, type=DeployRequest).revision


@pytest.fixture
def cluster(gateway: PretendGateway) -> PretendGateway:
    """The pretend gateway says that it is on a cluster."""
    gateway.provider = "kubernetes"
    return gateway


def test_a_cluster_is_sent_nothing_of_this_machine(cluster: PretendGateway) -> None:
    assert make().remote() == 1
    assert sent(cluster).place is None
    asked = [hit.path for hit in cluster.hits if hit.path.startswith("/v1/inventory")]
    assert asked
    assert not any("interpreter" in path for path in asked)


def test_the_same_code_has_the_same_revision_from_wherever_it_is_deployed(
    cluster: PretendGateway, tmp_path, monkeypatch
) -> None:
    assert make().deploy().number == 1
    session.deployed.clear()
    monkeypatch.chdir(tmp_path)
    assert make().deploy(take_over=True).number == 1


def test_this_machines_gateway_is_sent_where_this_process_runs(gateway: PretendGateway) -> None:
    assert make().remote() == 1
    place = sent(gateway).place
    assert place is not None
    assert (place.cwd, place.interpreter) == (os.getcwd(), sys.executable)


def test_what_only_a_cluster_has_is_sent_as_it_was_written(cluster: PretendGateway) -> None:
    make(
        image="registry.example/runner:1",
        secrets=["openai"],
        volumes={"/data": "models"},
        gpu=1,
        runtime_class="gvisor",
        node_selector={"disk": "ssd"},
    ).deploy()
    spec = sent(cluster)
    assert spec.image == "registry.example/runner:1"
    assert (spec.secrets, spec.volumes) == (("openai",), {"/data": "models"})
    assert (spec.runtime_class, spec.node_selector) == ("gvisor", {"disk": "ssd"})
    assert spec.resources.gpu is not None


def test_another_python_in_the_pools_is_found_before_anything_is_sent(
    cluster: PretendGateway,
) -> None:
    cluster.python = "3.99.1"
    with pytest.raises(faas.EnvironmentMismatch, match=r"the runner has 3\.99"):
        make().remote()
    assert not cluster.blobs


def test_an_image_of_its_own_is_not_compared_with_the_pools(cluster: PretendGateway) -> None:
    cluster.python = "3.99.1"
    make("import nothing_there_has\n    return 1", image="mine:1").deploy()
    assert sent(cluster).image == "mine:1"


def test_what_a_runner_image_lacks_is_said_with_what_helps_there(cluster: PretendGateway) -> None:
    cluster.top_level = ()
    with pytest.raises(faas.MissingPackages, match=r"runner image.*image='…'.*numpy"):
        make("import numpy\n    return numpy.zeros(1)").deploy()
    assert "Install {} there" not in requirements.IMAGE.advice


def test_a_variable_that_is_read_and_not_there_is_reported(
    cluster: PretendGateway, monkeypatch
) -> None:
    answer = make("return os.environ['LANG']")
    monkeypatch.setenv("LANG", "C")
    session.gateway.provider  # noqa: B018 - asked, as a call would have
    assert answer.capture().unset == ("LANG",)
    assert make("return os.environ['LANG']", env={"LANG": "C"}).capture().unset == ()


def test_two_namespaces_of_one_gateway_are_not_taken_for_one_another(
    cluster: PretendGateway,
) -> None:
    first = session.gateway
    second = connect(cluster.address, TOKEN, "team-b")
    assert first.key != second.key
    second.close()


class Shown(Session().display.__class__):
    """Keeps what the card said."""

    def __init__(self) -> None:
        super().__init__()
        self.asides: list[str] = []

    def update(self, progress: Progress) -> None:
        self.asides.append(progress.aside())

    def says(self, words: str) -> bool:
        return any(words in aside for aside in self.asides)


REASON = "no node has 64 CPUs free (largest: 2)"


@pytest.fixture
def shown(cluster: PretendGateway, monkeypatch) -> Shown:
    """The card of a revision that stays pending for a reason."""
    shown = Shown()
    monkeypatch.setattr(session, "display", shown)
    monkeypatch.setattr(waiting, "TICK_S", 0.0025)
    monkeypatch.setattr(cluster, "_settle", lambda *_: None)
    cluster.waiting = [REASON] * 100_000
    return shown


def test_while_a_first_call_waits_the_card_says_for_what(
    cluster: PretendGateway, shown: Shown, monkeypatch
) -> None:
    call = cluster.call

    def held(hit: Any) -> Any:
        wait_until(lambda: shown.says(REASON), what="the card says it")
        return call(hit)

    monkeypatch.setattr(cluster, "call", held)
    assert make().remote() == 1
    assert any(aside.startswith("◌ waiting ") for aside in shown.asides)


def test_a_deployment_that_is_late_says_what_it_still_waits_for(
    cluster: PretendGateway, shown: Shown, monkeypatch
) -> None:
    def settled(gateway: Any, name: str, number: int, timeout_s: float) -> Any:
        wait_until(lambda: shown.says(REASON), what="the card says it")
        return ask(gateway, name, number, 0.0)

    ask = control.settled
    monkeypatch.setattr(control, "settled", settled)
    with pytest.raises(faas.ColdStartTimeout, match="64 CPUs"):
        make().deploy()


def test_a_failed_revision_ends_the_wait_with_the_clusters_reason(cluster: PretendGateway) -> None:
    cluster.fails["answer"] = faas.ProviderError("no node has 64 CPUs; the largest has 2")
    with pytest.raises(faas.ProviderError, match="64 CPUs"):
        make().deploy()
    session.deployed.clear()
    with pytest.raises(faas.ProviderError, match="64 CPUs"):
        make().remote()


def _cut_once(cluster: PretendGateway, monkeypatch: Any) -> list[int]:
    """Let the gateway go away in the middle of the first call."""
    calls: list[int] = []
    call = cluster.call

    def cutting(hit: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionResetError
        return call(hit)

    monkeypatch.setattr(cluster, "call", cutting)
    return calls


def test_an_idempotent_call_goes_out_again_when_its_gateway_goes_away(
    cluster: PretendGateway, monkeypatch
) -> None:
    answer = make(idempotent=True)
    answer.deploy()
    calls = _cut_once(cluster, monkeypatch)
    assert answer.remote() == 1
    assert len(calls) == 2


async def test_so_does_an_awaited_one(cluster: PretendGateway, monkeypatch) -> None:
    answer = make(idempotent=True)
    answer.deploy()
    calls = _cut_once(cluster, monkeypatch)
    assert await answer.remote.aio() == 1
    assert len(calls) == 2


def test_any_other_call_is_lost(cluster: PretendGateway, monkeypatch) -> None:
    answer = make()
    answer.deploy()
    calls = _cut_once(cluster, monkeypatch)
    with pytest.raises(faas.GatewayLost):
        answer.remote()
    assert len(calls) == 1
