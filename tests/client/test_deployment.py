"""When a call deploys, what it deploys, and when it does not."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from queue import Queue
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas.client import waiting
from jupyter_faas.client.progress import Progress, TerminalDisplay
from jupyter_faas.client.session import session
from jupyter_faas.core.model import DeployRequest
from tests.client.pretend_gateway import PretendGateway

import msgspec  # isort: skip


def make(value: int, **options: Any) -> Any:
    """A cell that defines `answer`, run once."""
    scope: dict[str, Any] = {"serverless": faas.serverless, "options": options, "value": value}
    exec(
        "@serverless(**options)\ndef answer():\n    return " + str(value),
        scope,
    )
    return scope["answer"]


def deploys(gateway: PretendGateway, name: str = "answer") -> int:
    return gateway.paths("PUT").count(f"/v1/functions/{name}")


def restart_kernel() -> None:
    session.deployed.clear()


def test_unchanged_code_is_deployed_once(gateway: PretendGateway) -> None:
    answer = make(1)
    assert [answer.remote() for _ in range(3)] == [1, 1, 1]
    assert deploys(gateway) == 1
    assert make(1).remote() == 1
    restart_kernel()
    assert make(1).remote() == 1
    assert deploys(gateway) == 1


def test_changed_code_is_a_new_revision_and_old_code_is_live_again(
    gateway: PretendGateway,
) -> None:
    assert make(1).remote() == 1
    assert make(2).remote() == 2
    assert gateway.functions["answer"].latest == 2
    assert make(1).remote() == 1
    assert gateway.functions["answer"].latest == 1
    assert sorted(gateway.revisions["answer"]) == [1, 2]


def test_two_handles_of_one_name_each_run_their_own_code(gateway: PretendGateway) -> None:
    one, two = make(1), make(2)
    assert [one.remote(), two.remote(), one.remote(), two.remote()] == [1, 2, 1, 2]
    assert sorted(gateway.revisions["answer"]) == [1, 2]


def test_a_rebound_global_is_noticed(gateway: PretendGateway) -> None:
    scope: dict[str, Any] = {"serverless": faas.serverless, "k": 1}
    exec("@serverless\ndef answer():\n    return k", scope)
    assert scope["answer"].remote() == 1
    scope["k"] = 2
    assert scope["answer"].remote() == 2
    assert deploys(gateway) == 2


def test_only_calls_of_a_pending_revision_name_it(gateway: PretendGateway) -> None:
    answer = make(1)
    request: list[DeployRequest] = []
    settle = gateway._settle

    def settle_later(name: str, revision: Any) -> None:
        request.append(revision)

    gateway._settle = settle_later  # type: ignore[method-assign]
    assert answer.remote() == 1
    settle("answer", request[0])
    assert answer.remote() == 1
    first, second = gateway.calls("answer")
    assert first.headers["faas-revision"] == "1"
    assert "faas-revision" not in second.headers


def test_another_revision_that_answers_is_said_once(
    gateway: PretendGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    make(1).remote()
    answer = make(2)
    assert answer.remote() == 2
    answer.rollback()
    assert [answer.remote(), answer.remote()] == [1, 1]
    said = capsys.readouterr().err
    assert said.count("revision 1 answered, not revision 2") == 1


def test_a_revision_that_cannot_start_raises_its_own_error(gateway: PretendGateway) -> None:
    gateway.fails["answer"] = faas.MissingPackages("the runner has no module `sklearn`")
    answer = make(1)
    with pytest.raises(faas.MissingPackages, match="sklearn"):
        answer.remote()
    with pytest.raises(faas.MissingPackages, match="sklearn"):
        answer.deploy()
    del gateway.fails["answer"]
    assert answer.remote() == 1


def test_a_revision_that_fails_as_it_is_loaded_shows_its_lines_and_what_keeps_serving(
    gateway: PretendGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(session.display, "finish", lambda progress: shown.append(repr(progress)))
    assert make(1).remote() == 1
    gateway.fails["answer"] = faas.RemoteError("no weights", traceback='  File "cell", line 3')
    broken = make(2)
    for attempt in (broken.remote, broken.deploy):
        with pytest.raises(faas.RemoteError, match="no weights") as caught:
            attempt()
        assert 'raised it while it was loaded:\n  File "cell", line 3' in caught.value.__notes__[0]
    assert shown[-1].splitlines()[-2:] == [
        " ✕         no weights",
        "           Revision 1 keeps serving.",
    ]


class Watched(TerminalDisplay):
    """A display somebody reads; keeps how the cards end."""

    is_watched = True

    def __init__(self) -> None:
        super().__init__()
        self.ends: Queue[str] = Queue()

    def finish(self, progress: Progress) -> None:
        self.ends.put(progress.state)


def test_a_card_ends_by_itself_when_the_first_call_is_not_made_or_refused(
    gateway: PretendGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    display = Watched()
    monkeypatch.setattr(session, "display", display)
    with pytest.raises(faas.NotSerializable):
        make(1).remote(threading.Lock())
    assert display.ends.get(timeout=20) == "ready"

    def refuse(_hit: Any) -> Any:
        raise faas.BadRequest("not like this")

    with monkeypatch.context() as patched:
        patched.setattr(gateway, "call", refuse)
        with pytest.raises(faas.BadRequest):
            make(2).remote()
    assert display.ends.get(timeout=20) == "ready"
    gateway.fails["answer"] = faas.MissingPackages("the runner has no module `sklearn`")
    with pytest.raises(faas.NotSerializable):
        make(3).remote(threading.Lock())
    assert display.ends.get(timeout=20) == "failed"


def test_a_card_ends_when_its_revision_is_ready_however_long_the_first_call_takes(
    gateway: PretendGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    display, call = Watched(), gateway.call
    monkeypatch.setattr(session, "display", display)
    monkeypatch.setattr(waiting, "TICK_S", 0.0025)

    def runs_on(hit: Any) -> Any:
        assert display.ends.get(timeout=20) == "ready"
        return call(hit)

    monkeypatch.setattr(gateway, "call", runs_on)
    assert make(1).remote() == 1
    assert display.ends.empty()


class FirstCall:
    """The first call of a revision that is not ready: it gets no answer before the test says so."""

    def __init__(self, gateway: PretendGateway, patch: pytest.MonkeyPatch) -> None:
        self.display = Watched()
        self.has_come, self.may_end = threading.Event(), threading.Event()
        self._pending: list[Any] = []
        self._gateway, self._call, self._real_settle = gateway, gateway.call, gateway._settle
        patch.setattr(session, "display", self.display)
        patch.setattr(gateway, "_settle", lambda _name, revision: self._pending.append(revision))
        patch.setattr(gateway, "call", self._answer)
        self.on_call: Callable[[], None] = lambda: None

    def _answer(self, hit: Any) -> Any:
        self.has_come.set()
        self.on_call()
        self.may_end.wait(20)
        return self._call(hit)

    def settle(self) -> None:
        self._real_settle("answer", self._pending[0])
        self.on_call = lambda: None
        self.may_end.set()


@pytest.fixture
def first_call(gateway: PretendGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[FirstCall]:
    made = FirstCall(gateway, monkeypatch)
    yield made
    made.may_end.set()


def interrupt_here() -> None:
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def test_a_card_ends_as_interrupted_and_the_next_call_goes_on(first_call: FirstCall) -> None:
    answer, ends = make(1), first_call.display.ends
    first_call.on_call = interrupt_here
    with pytest.raises(KeyboardInterrupt):
        answer.remote()
    assert ends.get(timeout=20) == "interrupted"
    first_call.settle()
    assert answer.remote() == 1
    assert ends.get(timeout=20) == "ready"


async def test_a_call_that_is_cancelled_ends_its_card_too(first_call: FirstCall) -> None:
    task = asyncio.ensure_future(make(1).remote.aio())
    await asyncio.to_thread(first_call.has_come.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert first_call.display.ends.get(timeout=20) == "interrupted"


@pytest.mark.parametrize("shape", ["map", "starmap", "for_each", "spawn_map"])
def test_inputs_that_must_be_awaited_are_refused_before_anything_is_done(
    gateway: PretendGateway, shape: str
) -> None:
    async def inputs() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(faas.InvalidSpec, match=rf"answer\.{shape}\.aio in a coroutine"):
        getattr(make(1), shape)(inputs())
    assert gateway.hits == []


@pytest.mark.parametrize(
    ("options", "instead"),
    [
        ({"order_outputs": False}, r"`\.results\(\)` gives what is kept in input order\."),
        ({"return_exceptions": True}, r"say it to `\.results\(return_exceptions=True\)`\."),
        ({"progress": False}, r"`\.progress\(\)` shows how it goes\."),
        ({"order": 1}, "there are kwargs, engine, chunksize."),
        ({"engine": "dask"}, "allowed is one of"),
        ({"chunksize": 0}, "allowed is 'auto'"),
    ],
)
async def test_what_a_kept_map_would_not_heed_is_refused_before_anything_is_done(
    gateway: PretendGateway, options: dict[str, Any], instead: str
) -> None:
    (name,) = options
    spawn_map: Any = make(1).spawn_map
    told = rf"{name}.*{instead}"
    with pytest.raises(faas.InvalidSpec, match=told):
        spawn_map([1], **options)
    with pytest.raises(faas.InvalidSpec, match=told):
        await spawn_map.aio([1], **options)
    assert gateway.hits == []


def test_what_cannot_be_mapped_is_not_deployed(gateway: PretendGateway) -> None:
    @faas.serverless
    def answer(x: int) -> Iterator[int]:
        yield x

    with pytest.raises(faas.InvalidSpec, match="needs a function that returns"):
        answer.map([1])
    assert deploys(gateway) == 0


def test_the_name_of_another_notebook_is_not_taken_silently(
    gateway: PretendGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "one.ipynb")
    ours = make(1)
    assert ours.remote() == 1
    with monkeypatch.context() as other:
        other.setenv("JPY_SESSION_NAME", "other.ipynb")
        other.setattr(session, "deployed", {})
        stranger = make(2)
        with pytest.raises(faas.NameTaken):
            stranger.remote()
        assert stranger.deploy(take_over=True).number == 2
        assert stranger.remote() == 2
    with pytest.raises(faas.NameTaken, match=r"other\.ipynb"):
        make(3).remote()


def test_a_deleted_function_is_deployed_again(gateway: PretendGateway) -> None:
    answer = make(1)
    answer.remote()
    faas.function("answer").delete()
    assert answer.remote() == 1


def test_settings_go_along_and_live_changes_stay(gateway: PretendGateway) -> None:
    answer = make(1, max_containers=3)
    answer.remote()
    assert answer.update_autoscaler(min_containers=2).max_containers == 3
    restart_kernel()
    make(1, max_containers=3).remote()
    assert gateway.functions["answer"].settings.scaling.min_containers == 2
    make(1, max_containers=7).remote()
    assert gateway.functions["answer"].settings.scaling.max_containers == 7
    assert gateway.functions["answer"].latest == 1


def test_what_the_runner_lacks_is_found_before_anything_is_sent(gateway: PretendGateway) -> None:
    with pytest.raises(faas.MissingPackages, match="polars>=1 is not installed"):
        make(1, packages=["polars>=1"]).remote()
    with pytest.raises(faas.MissingPackages, match=r"numpy<2 is wanted and 2\.4\.0"):
        make(1, packages=["numpy<2"]).remote()
    with pytest.raises(faas.InvalidSpec, match="no requirement"):
        make(1, packages=["numpy two"]).remote()
    assert gateway.blobs == {}
    gateway.modules["polars"] = "1.2"
    assert make(1, packages=["polars>=1"]).remote() == 1


def test_what_cannot_be_pickled_is_named_before_anything_is_sent(gateway: PretendGateway) -> None:
    scope: dict[str, Any] = {"serverless": faas.serverless, "client": {"lock": threading.Lock()}}
    exec("@serverless\ndef answer():\n    return client", scope)
    with pytest.raises(faas.NotSerializable, match="client"):
        scope["answer"].remote()
    assert gateway.blobs == {}
    assert not scope["answer"].capture().is_sendable


def test_a_function_that_uses_another_deploys_it_first(gateway: PretendGateway) -> None:
    scope: dict[str, Any] = {"serverless": faas.serverless}
    exec("@serverless\ndef inner(x):\n    return x + 1", scope)
    exec("@serverless\ndef outer(x):\n    return inner(x) * 10", scope)
    assert scope["outer"].remote(1) == 20
    assert list(gateway.functions) == ["inner", "outer"]


def test_a_handle_by_name_calls_without_deploying(gateway: PretendGateway) -> None:
    make(1).remote()
    make(2).remote()
    handle = faas.function("answer")
    assert handle.remote() == 2
    assert faas.function("answer", revision=1).remote() == 1
    assert [f.name for f in faas.functions()] == ["answer"]
    with pytest.raises(faas.FunctionNotFound):
        faas.function("nobody")
    with pytest.raises(faas.RevisionNotFound, match="1"):
        faas.function("answer", revision=9)
    with pytest.raises(faas.UsageError, match="remote"):
        handle()


def test_traffic_is_divided_and_rolled_back(gateway: PretendGateway) -> None:
    make(1).remote()
    answer = make(2)
    answer.remote()
    assert answer.traffic({1: 90, "2": 10}) == {1: 90, 2: 10}
    assert answer.traffic() == {1: 90, 2: 10}
    assert answer.rollback(to=1).number == 1
    with pytest.raises(faas.InvalidSpec, match="traffic="):
        answer.traffic({"one": 3})


def test_origin_says_who_deploys_and_from_where(
    gateway: PretendGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "work/score.ipynb")
    make(1).remote()
    (put,) = [hit for hit in gateway.hits if hit.path == "/v1/functions/answer" and hit.body]
    origin = msgspec.json.decode(put.body, type=DeployRequest).origin
    assert origin.notebook == "work/score.ipynb"
    assert origin.owner
    assert origin.session == ""


def test_no_gateway_is_told_with_advice_within_the_connect_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "gateway", None)
    faas.connect("http://127.0.0.1:9", "t")
    with pytest.raises(faas.GatewayUnavailable):
        make(1).remote()


def test_a_token_is_in_no_repr(gateway: PretendGateway) -> None:
    client = faas.gateway()
    assert client.token == "a token for tests"
    assert client.token not in repr(client) + client._repr_html_() + repr(client.location)
