"""A cluster's tokens: who may do what, how often the cluster is asked, and what happens without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jupyter_faas.core.errors import Forbidden, GatewayUnavailable, ProviderError, Unauthorized
from jupyter_faas.gateway import cluster_auth
from jupyter_faas.gateway.acts import Act, call_of
from jupyter_faas.gateway.cluster_auth import ClusterAuthority
from jupyter_faas.gateway.held import Held
from jupyter_faas.gateway.keys import Keys
from jupyter_faas.gateway.verdicts import AGAIN_S, FRESH_S, REFUSED_S
from jupyter_faas.wire.upstream import request
from tests.gateway.cluster import KEYS, ClusterBench, FakeReviewer, cluster_bench
from tests.gateway.conftest import problem, until
from tests.support import free_ports

CALL = call_of("default")
ALICE, BOB, NOBODY = b"Bearer alices", b"Bearer bobs", b"Bearer nobodys"


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def reviewer() -> FakeReviewer:
    made = FakeReviewer()
    made.users = {"alices": "alice", "bobs": "bob"}
    made.allow("alice", "create", part="invoke")
    made.allow("alice", "get")
    return made


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def authority(reviewer: FakeReviewer, time: Time) -> AsyncIterator[ClusterAuthority]:
    made = ClusterAuthority(reviewer, KEYS, time)
    yield made
    await made.close()


# -- the authority alone


async def test_an_unknown_token_is_reviewed_once_and_then_known(authority, reviewer, time):
    assert authority.judge(ALICE, CALL) is None
    passed = await authority.review(ALICE, CALL)
    assert authority.judge(ALICE, CALL) is passed
    assert authority.judge(b"bearer  alices ", CALL) is passed
    time.now_s += AGAIN_S - 1
    assert authority.judge(ALICE, CALL) is passed
    assert reviewer.asked == [("who",), ("alice", "create", "default", "invoke")]


async def test_who_bears_a_token_is_not_asked_again_for_the_next_verb(authority, reviewer):
    await authority.review(ALICE, CALL)
    await authority.review(ALICE, Act("get", "default"))
    assert [one for one in reviewer.asked if one == ("who",)] == [("who",)]


async def test_what_is_allowed_once_is_not_allowed_elsewhere(authority):
    await authority.review(ALICE, CALL)
    for other in (call_of("other"), Act("create", "default"), Act("delete", "default")):
        assert authority.judge(ALICE, other) is None
        with pytest.raises(Forbidden):
            await authority.review(ALICE, other)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (CALL, ["`bob`", "verb `create`", "`functions/invoke`", "namespace `default`"]),
        (Act("delete", "x"), ["`bob`", "verb `delete`", "`functions`", "namespace `x`"]),
        (Act("get", path="/metrics"), ["`bob`", "`get`", "/metrics", "ClusterRole"]),
    ],
)
async def test_a_refusal_names_who_and_the_verb_that_is_missing(authority, act, words):
    with pytest.raises(Forbidden) as refused:
        await authority.review(BOB, act)
    assert [word for word in words if word not in str(refused.value)] == []
    assert refused.value.extra["verb"] == act.verb


async def test_a_refusal_is_remembered_shortly(authority, reviewer, time):
    for header, error in ((BOB, Forbidden), (NOBODY, Unauthorized)):
        with pytest.raises(error):
            await authority.review(header, CALL)
        asked = len(reviewer.asked)
        time.now_s += REFUSED_S - 0.1
        with pytest.raises(error):
            authority.judge(header, CALL)
        assert len(reviewer.asked) == asked
        time.now_s += 0.2
        assert authority.judge(header, CALL) is None


@pytest.mark.parametrize("header", [None, b"", b"Basic x", b"Bearer ", b"Bearer"])
async def test_no_token_is_said_to_be_none(authority, header):
    with pytest.raises(Unauthorized, match="No token"):
        authority.judge(header, CALL)
    with pytest.raises(Unauthorized, match="No token"):
        await authority.review(header, CALL)


async def test_a_right_that_is_taken_back_ends_within_a_minute(authority, reviewer, time):
    await authority.review(ALICE, CALL)
    reviewer.rules.clear()
    time.now_s += FRESH_S - 1
    assert authority.judge(ALICE, CALL) is not None, "it is used while it is asked again"
    await until(lambda: len(reviewer.asked) >= 4)
    await until(lambda: not authority._open)
    with pytest.raises(Forbidden):
        authority.judge(ALICE, CALL)


async def test_a_grant_that_was_not_used_for_a_minute_is_asked_for_before_it_is_used(
    authority, reviewer, time
):
    passed = await authority.review(ALICE, CALL)
    time.now_s += FRESH_S
    assert passed.until_s < time.now_s
    assert authority.judge(ALICE, CALL) is None
    assert await authority.review(ALICE, CALL) is passed
    assert passed.until_s > time.now_s


async def test_token_and_permission_together_are_never_older_than_a_minute(
    authority, reviewer, time
):
    await authority.review(ALICE, Act("get", "default"))
    time.now_s += 25
    await authority.review(ALICE, CALL)
    reviewer.users.clear()
    time.now_s += 36
    assert authority.judge(ALICE, CALL) is None, "the token itself was reviewed 61 s ago"


async def test_a_hundred_who_ask_at_once_are_one_question(authority, reviewer):
    reviewer.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(authority.review(ALICE, CALL)) for _ in range(100)]
    await until(lambda: reviewer.asked)
    waiting[0].cancel()
    reviewer.gate.set()
    passes = await asyncio.gather(*waiting[1:])
    assert len(set(map(id, passes))) == 1
    assert len(reviewer.asked) == 2


async def test_while_the_api_is_away_what_was_granted_goes_on_and_the_rest_is_503(
    authority, reviewer, time
):
    await authority.review(ALICE, CALL)
    reviewer.is_away = True
    time.now_s += 3600
    assert authority.judge(ALICE, CALL) is None, "nobody knows yet that it is away"
    passed = await authority.review(ALICE, CALL)
    assert passed.until_s > time.now_s
    time.now_s += 3600
    assert authority.judge(ALICE, CALL) is passed, "from now on nobody waits"
    with pytest.raises(GatewayUnavailable):
        await authority.review(BOB, CALL)
    assert authority.judge(BOB, CALL) is None, "that is not remembered"
    reviewer.is_away = False
    await until(lambda: not authority._open)
    with pytest.raises(Forbidden):
        await authority.review(BOB, CALL)


async def test_an_api_that_says_nothing_counts_as_away(authority, reviewer, time, monkeypatch):
    await authority.review(ALICE, CALL)
    monkeypatch.setattr(cluster_auth, "ASK_S", 0.01)
    reviewer.gate = asyncio.Event()
    time.now_s += 100
    assert (await authority.review(ALICE, CALL)).until_s > time.now_s
    with pytest.raises(GatewayUnavailable):
        await authority.review(BOB, CALL)


async def test_a_gateway_that_may_not_ask_says_so(authority, reviewer, monkeypatch):
    async def forbidden(_: str) -> None:
        raise ProviderError("The gateway may not ask.")

    monkeypatch.setattr(reviewer, "identify", forbidden)
    with pytest.raises(ProviderError):
        await authority.review(ALICE, CALL)
    assert authority.judge(ALICE, CALL) is None


async def test_a_flood_of_unknown_tokens_is_bounded(authority, reviewer, monkeypatch):
    monkeypatch.setattr(cluster_auth, "MOST_WAITING", 10)
    reviewer.gate = asyncio.Event()
    flood = [
        asyncio.ensure_future(authority.review(b"Bearer %d" % number, CALL)) for number in range(50)
    ]
    await until(lambda: sum(one.done() for one in flood) >= 40)
    assert len(reviewer.asked) <= 8
    reviewer.gate.set()
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert {type(one) for one in answers} == {GatewayUnavailable, Unauthorized}


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (call_of("default"), None),
        (call_of("other"), Forbidden),
        (Act("get", "default"), Forbidden),
        (Act("create", "default"), Forbidden),
        (Act("", ""), Forbidden),
    ],
)
async def test_a_call_token_calls_functions_of_its_namespace_and_nothing_else(
    authority, reviewer, act, error
):
    header = b"Bearer " + authority.call_token("default").encode()
    if error is None:
        assert authority.judge(header, act) is not None
    else:
        with pytest.raises(error):
            authority.judge(header, act)
    assert reviewer.asked == []


async def test_a_forged_call_token_is_not_even_reviewed(authority, reviewer):
    for token in (Keys.make().call_token("default"), "faasc.default.", "faasc.x"):
        with pytest.raises(Unauthorized):
            authority.judge(b"Bearer " + token.encode(), CALL)
    assert reviewer.asked == []


# -- through the door


@pytest.fixture
async def bench() -> AsyncIterator[ClusterBench]:
    async with cluster_bench() as made:
        yield made


async def test_a_first_call_waits_for_its_review_and_the_next_ones_do_not(bench):
    await bench.ready()
    assert (await bench.call(token="alices", body=b"[1]")).body == b"[1]"
    asked = len(bench.reviewer.asked)
    bench.reviewer.gate = asyncio.Event()  # whoever asked now would wait for ever
    for number in range(20):
        answer = await bench.call(token="alices", body=b"%d" % number)
        assert answer.body == b"%d" % number
    assert len(bench.reviewer.asked) == asked


async def test_the_body_of_a_call_that_waits_is_held_back_and_arrives_whole(bench):
    await bench.ready()
    bench.reviewer.gate = asyncio.Event()
    body = bytes(range(256)) * 3000
    task = bench.calling(token="alices", body=body)
    await until(lambda: bench.reviewer.asked)
    assert not bench.service.calls.active, "it has not been let in"
    bench.reviewer.gate.set()
    assert (await task).body == body


async def test_the_rest_of_a_body_is_read_once_the_call_is_let_in(bench):
    await bench.ready()
    bench.reviewer.gate = asyncio.Event()
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.service.listeners.port)
    head = b"POST /function/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alices\r\n"
    writer.write(head + b"Content-Length: 8\r\n\r\n1234")
    await until(lambda: bench.reviewer.asked)
    writer.write(b"5678")
    await writer.drain()
    bench.reviewer.gate.set()
    answer = await asyncio.wait_for(reader.readuntil(b"12345678"), 20.0)
    assert answer.startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_waits_stays_with_its_sender(bench):
    await bench.ready()
    bench.reviewer.gate = asyncio.Event()
    task = bench.calling(token="alices", body=bytes(1 << 20))
    await until(lambda: bench.reviewer.asked)
    (held,) = (
        one._active.receiver
        for one in bench.service.listeners.connections
        if one._active is not None
    )
    assert isinstance(held, Held)
    sizes = []
    for _ in range(50):  # long enough for all of it to come over loopback
        await asyncio.sleep(0.001)
        sizes.append(sum(map(len, held._pieces)))
    assert sizes[-1] == sizes[10] < 600_000
    bench.reviewer.gate.set()
    assert len((await task).body) == 1 << 20


async def test_a_caller_that_leaves_while_it_waits_is_forgotten(bench):
    await bench.ready()
    bench.reviewer.gate = asyncio.Event()
    task = bench.calling(token="alices")
    await until(lambda: bench.reviewer.asked)
    task.cancel()
    await until(lambda: len(bench.service.listeners.connections) == 0, "the connection is gone")
    bench.reviewer.gate.set()
    assert (await bench.call(token="alices")).status == 200
    assert len(bench.all_calls()) == 1


@pytest.mark.parametrize("token", ["bobs", "nobodys", None, "faasc.default.forged"])
async def test_who_may_not_call_is_told_why_and_nothing_runs(bench, token):
    await bench.ready()
    answer = await bench.call(token=token, body=b"x" * 200_000)
    assert answer.status == (403 if token == "bobs" else 401)
    if token == "bobs":
        assert problem(answer)["verb"] == "create"
        assert "functions/invoke" in problem(answer)["detail"]
    assert bench.all_calls() == []
    assert (await bench.call("no-such", token=token)).status == answer.status, "nor what exists"


async def test_a_kept_alive_connection_loses_its_right_within_a_minute(bench, monkeypatch):
    await bench.ready()
    for _ in range(5):  # the head is known from the second on
        assert (await bench.call(token="alices")).status == 200
    bench.reviewer.rules.clear()
    assert (await bench.call(token="alices")).status == 200
    bench.clock.ahead_s += FRESH_S + 1
    bench.service.calls.clock = bench.clock
    assert (await bench.call(token="alices")).status == 403
    bench.reviewer.allow("alice", "create", part="invoke")
    bench.clock.ahead_s += REFUSED_S + 1
    repeat, ways = bench.service.calls.repeat, []

    def noted(*call: Any) -> bool:
        ways.append(repeat(*call))
        return ways[-1]

    monkeypatch.setattr(bench.service.calls, "repeat", noted)
    for _ in range(5):
        assert (await bench.call(token="alices")).status == 200
    assert ways[-1], "and goes the short way again"


async def test_warm_calls_go_on_without_the_api(bench):
    await bench.ready()
    assert (await bench.call(token="alices")).status == 200
    bench.reviewer.is_away = True
    bench.service.calls.clock = bench.clock
    for _ in range(5):
        bench.clock.ahead_s += 100
        assert (await bench.call(token="alices")).status == 200
    answer = await bench.call(token="bobs")
    assert (answer.status, problem(answer)["code"]) == (503, "gateway_unavailable")
    assert answer.header(b"retry-after")


async def test_a_public_function_needs_no_token(bench):
    from jupyter_faas.core.model import FunctionSettings

    await bench.ready(settings=FunctionSettings(public=True))
    for _ in range(3):
        assert (await bench.call(token=None)).status == 200
    assert bench.reviewer.asked == []


async def test_replicas_are_told_a_call_token_that_opens_calls_alone(bench):
    front = await bench.ready()
    token = front.told.env["FAAS_GATEWAY_TOKEN"]
    assert token.startswith("faasc.default.")
    assert (await bench.call(token=token)).status == 200
    assert (await bench.call(token=token, path="/function/other/f")).status == 403
    refused = 0
    for method, path in (
        ("GET", "/v1/functions"),
        ("GET", "/v1/functions/f"),
        ("PUT", "/v1/functions/f"),
        ("DELETE", "/v1/functions/f"),
        ("PUT", f"/v1/blobs/{'0' * 64}"),
        ("GET", "/v1/state"),
        ("GET", "/v1/events"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/no-such"),
    ):
        answer = await bench.call(method=method, path=path, token=token)
        refused += (answer.status, problem(answer)["code"]) == (403, "forbidden")
    assert refused == 10


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("GET", "/v1/functions", "list"),
        ("GET", "/v1/functions/f", "get"),
        ("DELETE", "/v1/functions/f", "delete"),
        ("PUT", "/v1/functions/f", "update"),
        ("PUT", "/v1/functions/new", "create"),
        ("PATCH", "/v1/functions/f/scaling", "update"),
        ("GET", "/metrics", "get"),
    ],
)
async def test_each_control_request_needs_its_verb(bench, method, path, verb):
    await bench.ready()
    refused = problem(await bench.call(method=method, path=path, token="bobs", body=b""))
    assert (refused["status"], refused["verb"]) == (403, verb)
    bench.reviewer.allow("bob", verb, "" if path == "/metrics" else "default",
                         path if path == "/metrics" else "")  # fmt: skip
    bench.clock.ahead_s += REFUSED_S + 1
    answer = await bench.call(method=method, path=path, token="bobs", body=b"")
    assert answer.status != 403, answer


async def test_a_deployment_that_waits_for_its_review_is_read_whole(bench):
    body = b" " * 100_000 + b'{"id": 3}'
    answer = await bench.call(method="PUT", path="/v1/functions/f", token="alices", body=body)
    assert problem(answer)["code"] == "invalid_spec"


async def test_nothing_of_another_namespace_is_shown(bench):
    front = await bench.ready()
    front.on_call = lambda call: None
    bench.reviewer.allow("carol", "get", "carols")
    bench.reviewer.allow("carol", "create", "carols", "invoke")
    bench.reviewer.users["carols"] = "carol"
    calling = bench.calling(token="alices", headers={"Faas-Invocation-Id": "mine"})
    (call,) = await bench.calls(1)
    for method in ("GET", "DELETE"):
        for path in ("/v1/invocations/mine?namespace=carols", "/v1/invocations/mine"):
            answer = await bench.call(method=method, path=path, token="carols")
            assert answer.status == (404 if "carols" in path else 403), (method, path)
    own = await bench.call(method="GET", path="/v1/invocations/mine", token="alices")
    assert own.status == 200
    call.answer()
    await calling
    for part in ("", "/logs", "/result"):
        path = f"/v1/invocations/mine{part}?namespace=carols"
        assert (await bench.call(method="GET", path=path, token="carols")).status == 404
    own = await bench.call(method="GET", path="/v1/invocations/mine", token="alices")
    assert own.status == 200


async def test_what_no_rule_knows_reaches_nothing(bench):
    await bench.deploy()
    # The application's own patterns let a line break at the end through.
    for path in ("/v1/functions%0a", "/v1/functions/f%2freplicas%0a", "/v1/functions/f/%2e%2e"):
        for token in ("bobs", "alices"):
            answer = await bench.call(method="GET", path=path, token=token)
            assert (answer.status, problem(answer)["code"]) == (404, "bad_request"), path
    assert (await bench.call(method="GET", path="/x", token=None)).status == 401


# -- the port for replicas


async def test_the_calls_port_takes_calls_and_health_and_nothing_else():
    (port,) = free_ports(1)
    async with cluster_bench(calls_port=port) as bench:
        front = await bench.ready()
        assert front.told.env["FAAS_GATEWAY_URL"] == f"http://127.0.0.1:{port}"
        token = front.told.env["FAAS_GATEWAY_TOKEN"]

        async def ask(method: str, path: str, bearer: str = token):
            head = [(b"Authorization", f"Bearer {bearer}".encode())]
            return await request(f"127.0.0.1:{port}", method, path, head, b"[1]", timeout_s=20)

        for _ in range(3):
            assert (await ask("POST", "/function/f")).body == b"[1]"
        assert (await ask("POST", "/function/f", "alices")).status == 200
        assert (await ask("GET", "/readyz")).status == 200
        for path in ("/v1/functions", "/v1/state", "/metrics", "/openapi.json", "/", "/v1/blobs/x"):
            for bearer in (token, "alices"):
                answer = await ask("GET", path, bearer)
                assert (answer.status, problem(answer)["code"]) == (404, "bad_request")


async def test_replicas_are_told_the_address_that_is_configured():
    async with cluster_bench(calls_url="http://gateway.system.svc:8081") as bench:
        front = await bench.ready()
        assert front.told.env["FAAS_GATEWAY_URL"] == "http://gateway.system.svc:8081"
