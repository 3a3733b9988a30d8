"""What a caller is answered: one status, code and set of headers for each way a call can go."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.model import FunctionSettings, Origin, Outcome, Scaling
from jupyter_faas.gateway.auth import call_token
from jupyter_faas.gateway.hosts import Hosts
from tests.gateway.conftest import TOKEN, problem, until


async def test_a_call_is_answered_with_what_the_front_says(bench):
    await bench.ready()
    answer = await bench.call(body=b'{"x": 3}')
    assert (answer.status, answer.body) == (200, b'{"x": 3}')
    told = dict(answer.headers)
    assert told[b"faas-revision"] == b"1"
    assert told[b"faas-cold-start"] == b"0"
    assert float(told[b"faas-queue-ms"]) >= 0
    assert float(told[b"faas-run-ms"]) == 1.5
    assert told[b"faas-invocation-id"]
    assert b"faas-fault" not in told


async def test_the_front_is_told_what_it_needs_and_no_credentials(bench):
    front = await bench.ready()
    await bench.call(
        headers={
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "traceparent": "00-1-2-01",
            "Cookie": "secret",
            "X-Mine": "1",
            "Faas-Method": "predict",
            "Faas-Invocation-Id": "mine.1",
        }
    )
    told = front.calls[0].headers
    assert told[b"content-type"] == b"application/json"
    assert told[b"accept"] == b"text/event-stream"
    assert told[b"traceparent"] == b"00-1-2-01"
    assert told[b"faas-method"] == b"predict"
    assert told[b"faas-invocation-id"] == b"mine.1"
    assert told[b"faas-revision-id"] == bench.entry().revision.id.encode()
    assert not {b"authorization", b"cookie", b"x-mine"} & set(told)


async def test_headers_of_an_answer_are_passed_on_without_internal_ones(bench):
    front = await bench.ready()
    front.on_call = lambda call: call.answer(
        b"{}",
        500,
        (b"Content-Type", b"application/problem+json"),
        (b"X-Custom", b"1"),
        (b"Faas-Secret", b"s"),
        (b"Faas-Revision", b"77"),
        (b"Faas-Fault", b"user"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Set-Cookie", b"x" * 20_000),
    )
    told = (await bench.call()).headers
    names = [name for name, _ in told]
    assert (b"x-custom", b"1") in told
    assert (b"faas-fault", b"user") in told
    assert names.count(b"faas-revision") == 1
    assert not {b"faas-secret", b"keep-alive", b"set-cookie"} & set(names)


async def test_nothing_a_replica_says_of_itself_is_believed_unread(bench):
    front = await bench.ready()
    front.on_call = lambda call: call.exchange.respond(
        200, [(b"Faas-Run-Ms", b"nan"), (b"Faas-Fault", b"<script>")], b"1"
    )
    told = dict((await bench.call()).headers)
    assert b"faas-run-ms" not in told
    assert told[b"faas-fault"] == b"platform"


REFUSED = [
    ("no such function", {"name": "nope"}, 404, "function_not_found"),
    ("no token", {"token": None}, 401, "unauthorized"),
    ("a wrong token", {"token": "wrong"}, 401, "unauthorized"),
    ("no token for what is not there", {"name": "nope", "token": None}, 401, "unauthorized"),
    ("another method", {"method": "PUT"}, 405, "bad_request"),
    ("GET", {"method": "GET", "body": b""}, 405, "bad_request"),
    ("another namespace", {"path": "/function/other/f"}, 404, "function_not_found"),
    ("a sub-path", {"path": "/function/default/f/x"}, 404, "function_not_found"),
    ("a sub-path without token", {"path": "/function/a/b/c", "token": None}, 401, "unauthorized"),
    ("no name", {"path": "/function/"}, 404, "function_not_found"),
    ("too large a body", {"body": b"x" * ((1 << 20) + 1)}, 413, "payload_too_large"),
    ("a key for once", {"headers": {"Idempotency-Key": "k"}}, 501, "not_implemented"),
    ("a bad id", {"headers": {"Faas-Invocation-Id": "a b"}}, 400, "bad_request"),
    ("an empty deadline", {"headers": {"Faas-Deadline-Ms": ""}}, 400, "bad_request"),
    ("a negative deadline", {"headers": {"Faas-Deadline-Ms": "-1"}}, 400, "bad_request"),
    ("a passed deadline", {"headers": {"Faas-Deadline-Ms": "0"}}, 504, "timeout"),
    ("no number as revision", {"headers": {"Faas-Revision": "x"}}, 400, "bad_request"),
    ("an unknown revision", {"headers": {"Faas-Revision": "9"}}, 404, "revision_not_found"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
async def test_what_cannot_be_is_refused_at_the_door(bench, arguments, status, code):
    front = await bench.ready()
    answer = await bench.call(**arguments)
    assert (answer.status, problem(answer)["code"]) == (status, code)
    assert len(problem(answer)["detail"]) > 10
    assert answer.header(b"faas-fault") == b"user"
    assert not front.calls
    assert bench.ledger()["accepted"] == 0
    if status == 405:
        assert answer.header(b"allow") == b"POST"
    if status == 401:
        assert answer.header(b"www-authenticate")


async def test_a_replicas_token_opens_functions_and_nothing_else(bench):
    await bench.ready()
    token = call_token(TOKEN)
    assert (await bench.call(token=token)).status == 200
    answer = await bench.call(path="/metrics", method="GET", body=b"", token=token)
    assert (answer.status, problem(answer)["code"]) == (403, "forbidden")


async def test_a_public_function_needs_no_token(bench):
    await bench.ready(settings=FunctionSettings(public=True))
    assert (await bench.call(token=None)).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_needs_no_token(bench, path):
    assert (await bench.call(path=path, method="GET", body=b"", token=None)).status == 200


async def test_readiness_and_health_differ_while_it_stops(bench):
    bench.service.door.is_ready = False
    ready = await bench.call(path="/readyz", method="GET", body=b"", token=None)
    alive = await bench.call(path="/healthz", method="GET", body=b"", token=None)
    assert (ready.status, alive.status) == (503, 200)


async def test_an_id_that_is_running_cannot_be_used_again(bench):
    front = await bench.ready(max_inputs=2)
    front.on_call = lambda call: None
    first = bench.calling(headers={"Faas-Invocation-Id": "twice"})
    await bench.calls(1)
    second = await bench.call(headers={"Faas-Invocation-Id": "twice"})
    assert (second.status, problem(second)["code"]) == (409, "bad_request")
    front.calls[0].answer()
    assert (await first).status == 200


async def test_the_functions_own_queue_limit_is_429(bench):
    bench.service.activator.room.max_per_function = 1
    front = await bench.ready(scaling=Scaling(max_containers=1))
    front.on_call = lambda call: None
    running = bench.calling()
    await bench.calls(1)
    waiting = bench.calling()
    await until(lambda: bench.ledger()["queued"] == 1)
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (429, "queue_full")
    assert int(answer.header(b"retry-after")) >= 1
    assert answer.header(b"faas-fault") == b"capacity"
    front.on_call = lambda call: call.answer()
    front.calls[0].answer()
    assert [(await one).status for one in (running, waiting)] == [200, 200]
    assert bench.service.calls.rejected == 1


async def test_a_full_gateway_is_503(bench):
    bench.service.activator.room.max_total = 1
    front = await bench.ready(scaling=Scaling(max_containers=1))
    front.on_call = lambda call: None
    tasks = [bench.calling()]
    await bench.calls(1)
    tasks.append(bench.calling())
    await until(lambda: bench.ledger()["queued"] == 1)
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (503, "queue_full")
    front.on_call = lambda call: call.answer()
    front.calls[0].answer()
    await asyncio.gather(*tasks)


async def test_waiting_for_a_busy_replica_ends_at_the_queue_timeout(bench):
    settings = FunctionSettings(scaling=Scaling(max_containers=1), queue_timeout_s=0.05)
    front = await bench.ready(settings=settings)
    front.on_call = lambda call: None
    running = bench.calling()
    await bench.calls(1)
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (503, "queue_timeout")
    assert answer.header(b"retry-after")
    front.calls[0].answer()
    await running
    records = await bench.records(2)
    assert {record.outcome for record in records} == {Outcome.DONE, Outcome.DEAD}


async def test_after_a_cold_start_those_left_waiting_have_the_queue_timeout(bench):
    bench.provider.is_held = True
    bench.provider.prepare = lambda front: setattr(front, "on_call", lambda call: None)
    settings = FunctionSettings(scaling=Scaling(max_containers=1), queue_timeout_s=0.05)
    await bench.deploy(settings=settings)
    tasks = [bench.calling(), bench.calling()]
    await until(lambda: bench.ledger()["queued"] == 2)
    await bench.provider.release()
    (call,) = await bench.calls(1)
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert problem(done.pop().result())["code"] == "queue_timeout"
    call.answer()
    await asyncio.gather(*tasks)


async def test_a_cold_start_that_takes_too_long_is_503(bench):
    settings = FunctionSettings(queue_timeout_s=0.05)
    bench.provider.is_held = True
    await bench.deploy(settings=settings, startup_timeout_s=0.05)
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (503, "cold_start_timeout")
    assert answer.header(b"faas-fault") == b"capacity"


async def test_the_callers_deadline_ends_its_wait(bench):
    front = await bench.ready(scaling=Scaling(max_containers=1))
    front.on_call = lambda call: None
    running = bench.calling()
    await bench.calls(1)
    answer = await bench.call(headers={"Faas-Deadline-Ms": "40"})
    assert (answer.status, problem(answer)["code"]) == (504, "timeout")
    front.calls[0].answer()
    await running


async def test_what_is_left_of_the_deadline_reaches_the_front(bench):
    front = await bench.ready()
    await bench.call(headers={"Faas-Deadline-Ms": "60000"})
    assert 40_000 < int(front.calls[0].headers[b"faas-deadline-ms"]) <= 60_000
    await bench.call()
    assert b"faas-deadline-ms" not in front.calls[1].headers


async def test_a_call_that_waited_for_a_start_is_cold(bench):
    entry = await bench.deploy()
    answer = await bench.call()
    assert answer.header(b"faas-cold-start") == b"1"
    assert (await bench.call()).header(b"faas-cold-start") == b"0"
    assert entry.pool.cold_starts == 1


async def test_a_revision_that_cannot_load_gives_its_error_to_those_who_wait(bench):
    error = InvalidSpec("No module named 'nope'.")
    bench.provider.prepare = lambda front: setattr(front, "load_error", error)
    await bench.deploy()
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (422, "invalid_spec")
    assert "nope" in problem(answer)["detail"]
    later = await bench.call()
    assert (later.status, problem(later)["detail"]) == (422, problem(answer)["detail"])


async def test_a_pinned_pending_revision_answers_itself_or_with_its_failure(bench):
    await bench.ready()
    bench.provider.prepare = lambda front: setattr(front, "load_error", InvalidSpec("broken code"))
    await bench.deploy()
    pinned = await bench.call(headers={"Faas-Revision": "2"})
    assert problem(pinned)["detail"] == "broken code"
    assert (await bench.call()).header(b"faas-revision") == b"1"


async def test_a_pinned_revision_without_traffic_answers(bench):
    await bench.ready()
    await bench.ready()
    await until(lambda: bench.entry(number=2).is_live)
    assert (await bench.call()).header(b"faas-revision") == b"2"
    assert (await bench.call(headers={"Faas-Revision": "1"})).header(b"faas-revision") == b"1"


async def test_a_caller_who_has_its_own_code_never_runs_another_notebooks(bench):
    await bench.ready(origin=Origin(notebook="/a.ipynb"))
    own = {"Faas-Seen": "1"}
    assert [(await bench.call(headers=own)).status for _ in range(3)] == [200] * 3
    await bench.ready(origin=Origin(notebook="/a.ipynb"))
    await until(lambda: bench.entry(number=2).is_live)
    assert [(await bench.call(headers=own)).status for _ in range(3)] == [200] * 3
    await bench.ready(origin=Origin(notebook="/b.ipynb"))
    await until(lambda: bench.entry(number=3).is_live)
    for _ in range(3):
        refused = await bench.call(headers=own)
        assert (refused.status, problem(refused)["code"]) == (409, "name_taken")
        assert "b.ipynb" in problem(refused)["detail"]
    assert (await bench.call(headers={"Faas-Seen": "3"})).status == 200
    assert (await bench.call()).status == 200


async def test_weights_hold_for_callers_who_have_their_own_code(bench):
    await bench.ready()
    await bench.ready()
    await until(lambda: bench.entry(number=2).is_live)
    await bench.service.registry.set_traffic("default", "f", {1: 50, 2: 50})
    answers = [await bench.call(headers={"Faas-Seen": "2"}) for _ in range(200)]
    assert 70 <= sum(one.header(b"faas-revision") == b"1" for one in answers) <= 130


async def test_a_host_of_the_domain_is_a_function(bench):
    await bench.ready("score")
    bench.service.door._hosts = Hosts("default", "fn.example")
    answer = await bench.call(path="/whatever", headers={"Host": "x"})
    assert answer.status != 200
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.service.listeners.port)
    writer.write(
        b"POST /whatever HTTP/1.1\r\nHost: Score.fn.example:80\r\nContent-Length: 1\r\n"
        b"Connection: close\r\nAuthorization: Bearer %b\r\n\r\n7" % TOKEN.encode()
    )
    seen = await reader.read()
    writer.close()
    assert seen.startswith(b"HTTP/1.1 200")
    assert seen.endswith(b"7")


async def test_a_function_that_is_deleted_tells_who_waits_for_it(bench):
    bench.provider.is_held = True
    await bench.deploy()
    waiting = bench.calling()
    await until(lambda: bench.ledger()["queued"] == 1)
    await bench.service.registry.delete("default", "f")
    answer = await waiting
    assert (answer.status, problem(answer)["code"]) == (404, "function_not_found")


async def test_every_call_is_recorded_once(bench):
    front = await bench.ready()
    await bench.call()
    front.on_call = lambda call: call.answer(
        b"{}",
        500,
        (b"Faas-Fault", b"user"),
        (b"Faas-Code", b"remote_error"),
        (b"Faas-Detail", b"ValueError: 100%25"),
    )
    failed = await bench.call(headers={"Faas-Invocation-Id": "bad"})
    assert "faas-detail" not in {name.lower() for name, _value in failed.headers}
    records = {record.id: record for record in await bench.records(2)}
    assert len(records) == 2
    bad = records.pop("bad")
    assert (bad.outcome, bad.code, bad.run_ms) == (Outcome.ERROR, "remote_error", 1.5)
    assert bad.detail == "ValueError: 100%"
    (good,) = records.values()
    assert (good.outcome, good.function, good.revision) == (Outcome.DONE, "f", 1)
    assert good.memory_mib == 64
    assert good.replica == front.replica_id


async def test_metrics_hold_the_ledger(bench):
    await bench.ready()
    for _ in range(3):
        await bench.call()
    answer = await bench.call(path="/metrics", method="GET", body=b"")
    page = answer.body.decode()
    assert "faas_gateway_accepted_total 3.0" in page
    assert "faas_gateway_done_total 3.0" in page
    labels = 'function="f",namespace="default",revision="1"'
    assert f"faas_invocations_accepted_total{{{labels}}} 3.0" in page
    assert f"faas_call_seconds_count{{{labels}}} 3.0" in page
    assert 'state="ready"' in page


async def test_totals_equal_the_log(bench):
    front = await bench.ready()
    front.on_call = lambda call: call.answer()
    for _ in range(5):
        await bench.call()
    records = await bench.records(5)
    totals = bench.service.metering.totals()["default", "f"]
    assert totals.calls == len(records) == 5
    assert totals.run_ms == sum(record.run_ms for record in records)
    assert totals.queued_ms == pytest.approx(sum(record.queued_ms for record in records))


async def test_the_control_api_is_behind_the_token(bench):
    answer = await bench.call(path="/v1/functions", method="GET", body=b"", token=None)
    assert (answer.status, problem(answer)["code"]) == (401, "unauthorized")
