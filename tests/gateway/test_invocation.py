"""The life of one call: bodies, leases, retries, cancellation, families."""

from __future__ import annotations

import asyncio
import gc

import pytest

from jupyter_faas.core.model import FunctionSettings, Outcome, Scaling
from jupyter_faas.gateway.invocation import SLOWEST_BYTES_S, Invocation
from jupyter_faas.wire.frames import STDERR
from jupyter_faas.wire.upstream import AnswerLost
from tests.gateway.conftest import TOKEN, problem, until

ONE = Scaling(max_containers=1)


class Client:
    """A raw connection to the gateway: sends what it is told, when it is told."""

    def __init__(self, bench):
        self.port = bench.service.listeners.port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc):
        self.writer.close()

    def head(self, *lines, name="f"):
        text = "\r\n".join(
            [f"POST /function/{name} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *lines]
        )
        self.writer.write(text.encode() + b"\r\n\r\n")

    async def answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        for line in head.split("\r\n"):
            if line.lower().startswith("content-length"):
                return status, head, await self.reader.readexactly(int(line.split(":")[1]))
        return status, head, b""


# -- herds and leases -------------------------------------------------------------------------


@pytest.mark.parametrize(("calls", "max_inputs", "replicas"), [(10, 3, 4), (7, 1, 7), (5, 10, 1)])
async def test_a_herd_starts_exactly_as_many_replicas_as_it_fills(
    bench, calls, max_inputs, replicas
):
    bench.provider.prepare = lambda front: setattr(front, "on_call", lambda call: None)
    await bench.deploy(max_inputs=max_inputs, scaling=Scaling(max_containers=10))
    tasks = [bench.calling(body=b"%d" % number) for number in range(calls)]
    arrived = await bench.calls(calls)
    assert bench.provider.started == replicas
    assert max(len(front.calls) for front in bench.provider.fronts.values()) <= max_inputs
    for call in arrived:
        call.answer(call.body)
    answers = await asyncio.gather(*tasks)
    assert [answer.body for answer in answers] == [b"%d" % n for n in range(calls)]
    assert bench.provider.started == replicas


async def test_max_containers_bounds_a_herd_and_all_are_answered(bench):
    await bench.deploy(max_inputs=2, scaling=Scaling(max_containers=3))
    answers = await asyncio.gather(*(bench.call(body=b"%d" % n) for n in range(40)))
    assert [answer.body for answer in answers] == [b"%d" % n for n in range(40)]
    assert bench.provider.started <= 3


async def test_waiting_calls_are_served_in_order(bench):
    front = await bench.ready(scaling=ONE)
    front.on_call = lambda call: None
    tasks = [bench.calling(body=b"0")]
    await bench.calls(1)
    for number in range(1, 6):
        tasks.append(bench.calling(body=b"%d" % number))
        await until(lambda: bench.ledger()["queued"] == number)  # noqa: B023
    for number in range(6):
        (await bench.calls(number + 1))[number].answer()
    await asyncio.gather(*tasks)
    assert [call.body for call in front.calls] == [b"%d" % n for n in range(6)]


async def test_a_busy_front_gets_the_call_again_and_nobody_notices(bench):
    front = await bench.ready(scaling=ONE)
    front.refusals = 2
    answer = await bench.call(body=b"keep me")
    assert (answer.status, answer.body) == (200, b"keep me")
    assert len(front.calls) == 1
    assert bench.ledger()["accepted"] == 1


async def test_an_answer_before_the_code_has_ended_keeps_the_lease(bench):
    front = await bench.ready(scaling=ONE)
    front.on_call = lambda call: call.answer(b"late", 504, (b"Faas-Running", b"1"))
    assert (await bench.call()).status == 504
    assert bench.ledger()["running"] == 1
    front.on_call = lambda call: call.answer()
    second = bench.calling()
    await until(lambda: bench.ledger()["queued"] == 1)
    front.ended(front.calls[0].id, run_ms=77.0, outcome="timeout")
    assert (await second).status == 200
    front.ended(front.calls[0].id, run_ms=99.0)
    records = {record.id: record for record in await bench.records(2)}
    first = records[front.calls[0].id]
    assert (first.outcome, first.run_ms) == (Outcome.TIMEOUT, 77.0)
    assert bench.ledger()["done"] == 2


async def test_the_end_of_the_code_may_be_known_before_the_answer_is_read(bench):
    front = await bench.ready(scaling=ONE)

    def streams(call):
        call.exchange.start(200, [(b"Faas-Running", b"1")])
        call.exchange.write(b"frames")
        call.front.ended(call.id, run_ms=3.0, outcome="error", problem={"code": "remote_error"})

    front.on_call = streams
    task = bench.calling()
    await until(lambda: bench.ledger()["done"] == 1)
    front.calls[0].is_ended = True
    front.calls[0].exchange.finish()
    assert (await task).body == b"frames"
    (record,) = await bench.records(1)
    assert (record.outcome, record.code, record.run_ms) == (Outcome.ERROR, "remote_error", 3.0)


# -- loss and retry ---------------------------------------------------------------------------


async def test_a_lost_replica_is_502_with_the_providers_reason(bench):
    front = await bench.ready()
    front.on_call = lambda call: None
    task = bench.calling()
    await bench.calls(1)
    bench.provider.kill(front, "out_of_memory", "it wanted 900 MiB")
    answer = await task
    told = problem(answer)
    assert (answer.status, told["code"], told["reason"]) == (502, "replica_lost", "out_of_memory")
    assert "900 MiB" in told["detail"]
    assert told["invocation_id"]
    (record,) = await bench.records(1)
    assert (record.outcome, record.code) == (Outcome.LOST, "replica_lost")


async def test_a_lost_replica_is_replaced_and_the_next_call_works(bench):
    front = await bench.ready()
    front.on_call = lambda call: bench.provider.kill(front)
    assert (await bench.call()).status == 502
    assert (await bench.call()).status == 200


async def test_what_may_be_run_again_is(bench):
    front = await bench.ready(idempotent=True)
    front.on_call = lambda call: bench.provider.kill(front)
    answer = await bench.call(body=b"again")
    assert (answer.status, answer.body) == (200, b"again")
    assert answer.header(b"faas-cold-start") == b"1"
    assert len(front.calls) == 1


async def test_what_may_be_run_again_is_so_once(bench):
    bench.provider.prepare = lambda front: setattr(
        front, "on_call", lambda call: bench.provider.kill(front)
    )
    await bench.ready(idempotent=True)
    assert (await bench.call()).status == 502
    assert bench.ledger() | {"accepted": 1, "done": 1} == bench.ledger()


async def test_a_replica_that_dies_before_it_is_sent_anything_costs_no_call(bench):
    front = await bench.ready()
    front.die()
    answer = await bench.call(body=b"mine")
    assert (answer.status, answer.body) == (200, b"mine")


async def test_a_stream_that_breaks_never_looks_complete(bench):
    front = await bench.ready()

    def breaks(call):
        call.exchange.start(200)
        call.exchange.write(b"part")
        asyncio.get_running_loop().call_later(0.02, call.exchange.abort)

    front.on_call = breaks
    with pytest.raises(AnswerLost):
        await bench.call()


# -- cancellation -----------------------------------------------------------------------------


async def test_a_caller_that_leaves_ends_the_code_and_frees_the_slot_when_it_has_ended(bench):
    front = await bench.ready(scaling=ONE)
    front.ends_cancelled = False
    front.on_call = lambda call: None
    async with Client(bench) as client:
        client.head("Content-Length: 1")
        client.writer.write(b"1")
        (call,) = await bench.calls(1)
    await until(lambda: call.is_gone, "the front hears of it")
    assert bench.ledger()["running"] == 1, "the code may still run"
    front.ended(call.id, outcome="cancelled", run_ms=5.0)
    await until(lambda: bench.ledger()["cancelled"] == 1)
    (record,) = await bench.records(1)
    assert (record.outcome, record.code) == (Outcome.CANCELLED, "cancelled")


async def test_a_caller_that_leaves_the_queue_is_never_sent(bench):
    front = await bench.ready(scaling=ONE)
    front.on_call = lambda call: None
    running = bench.calling()
    await bench.calls(1)
    async with Client(bench) as client:
        client.head("Content-Length: 1")
        client.writer.write(b"1")
        await until(lambda: bench.ledger()["queued"] == 1)
    await until(lambda: bench.ledger()["cancelled"] == 1)
    front.calls[0].answer()
    await running
    assert len(front.calls) == 1


async def test_an_invocation_can_be_cancelled_by_its_id(bench):
    front = await bench.ready(scaling=ONE)
    front.on_call = lambda call: None
    running = bench.calling(headers={"Faas-Invocation-Id": "one"})
    await bench.calls(1)
    waiting = bench.calling(headers={"Faas-Invocation-Id": "two"})
    await until(lambda: bench.ledger()["queued"] == 1)
    answer = await bench.call(path="/v1/invocations/two", method="DELETE", body=b"")
    assert answer.status == 202
    assert bench.service.calls.cancel("one")
    assert not bench.service.calls.cancel("three")
    for answer in (await running, await waiting):
        assert (answer.status, problem(answer)["code"]) == (499, "cancelled")
    await until(lambda: bench.ledger()["cancelled"] == 2)
    assert front.calls[0].is_gone


# -- bodies -----------------------------------------------------------------------------------


async def test_a_slow_sender_holds_no_replica(bench):
    front = await bench.ready(scaling=ONE)
    async with Client(bench) as slow:
        slow.head("Content-Length: 10")
        slow.writer.write(b"12345")
        await until(lambda: bench.service.calls.active)
        assert (await bench.call()).status == 200
        slow.writer.write(b"67890")
        assert (await slow.answer())[2] == b"1234567890"
    assert len(front.calls) == 2


@pytest.mark.parametrize("size", [70_000, 900_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_streamed_whole(bench, size, chunked):
    await bench.ready()
    body = bytes(range(256)) * (size // 256)
    async with Client(bench) as client:
        if chunked:
            client.head("Transfer-Encoding: chunked")
            for start in range(0, len(body), 30_000):
                piece = body[start : start + 30_000]
                client.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            client.writer.write(b"0\r\n\r\n")
        else:
            client.head(f"Content-Length: {len(body)}")
            client.writer.write(body)
        status, _, answer = await client.answer()
    assert (status, answer == body) == (200, True)


async def test_of_a_waiting_body_only_the_first_part_is_taken(bench):
    front = await bench.ready(scaling=ONE)
    front.on_call = lambda call: None
    running = bench.calling()
    await bench.calls(1)
    async with Client(bench) as client:
        client.head("Content-Length: 1000000")
        client.writer.write(bytes(1_000_000))
        await until(lambda: bench.ledger()["queued"] == 1)
        (waiting,) = [one for one in bench.service.calls.active.values() if one.is_queued]
        for _ in range(20):
            await asyncio.sleep(0)
        assert waiting.body_bytes <= 64 * 1024 + 256 * 1024
        front.on_call = lambda call: call.answer(b"%d" % len(call.body))
        front.calls[0].answer()
        assert (await client.answer())[2] == b"1000000"
    await running


async def test_too_large_a_body_in_chunks_is_413_and_ends_the_call(bench):
    front = await bench.ready()
    async with Client(bench) as client:
        client.head("Transfer-Encoding: chunked")
        piece = bytes(100_000)
        for _ in range(11):
            client.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        status, _, body = await client.answer()
    assert status == 413
    assert b"payload_too_large" in body
    await until(lambda: not bench.service.calls.active)
    assert all(call.is_gone for call in front.calls)


async def test_a_large_answer_is_streamed_and_a_small_one_is_one_write(bench):
    front = await bench.ready()
    front.on_call = lambda call: call.answer(bytes(700_000))
    assert len((await bench.call()).body) == 700_000
    front.on_call = lambda call: call.answer(b"")
    assert (await bench.call()).body == b""


async def test_a_stream_arrives_piece_by_piece(bench):
    front = await bench.ready()
    front.on_call = lambda call: call.exchange.start(200, [(b"Content-Type", b"text/plain")])
    async with Client(bench) as client:
        client.head("Content-Length: 1")
        client.writer.write(b"1")
        (call,) = await bench.calls(1)
        assert (await client.answer())[0] == 200
        for piece in (b"one", b"two"):
            call.exchange.write(piece)
            assert await client.reader.readuntil(piece)
        call.is_ended = True
        call.exchange.finish()
        assert await client.reader.readuntil(b"0\r\n\r\n")


async def test_pipelined_calls_are_answered_in_order(bench):
    await bench.ready(max_inputs=4)
    async with Client(bench) as client:
        for number in range(5):
            client.head("Content-Length: 1")
            client.writer.write(b"%d" % number)
        assert [(await client.answer())[2] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_body_that_stops_coming_is_408(bench):
    await bench.ready()
    async with Client(bench) as client:
        client.head("Content-Length: 10")
        client.writer.write(b"123")
        (call,) = await until(lambda: list(bench.service.calls.active.values()))
        call.check(call.last_s + 1.0)
        assert call.id in bench.service.calls.active
        call.check(call.last_s + 1_000.0)
        assert (await client.answer())[0] == 408
    assert bench.ledger()["accepted"] == 0


async def test_a_front_that_never_answers_is_given_up(bench):
    front = await bench.ready(timeout_s=1.0)
    front.on_call = lambda call: None
    task = bench.calling()
    await bench.calls(1)
    (call,) = bench.service.calls.active.values()
    call.check(call.leased_s + 2.0)
    call.check(call.leased_s + 10_000.0)
    assert (await task).status == 504


async def test_an_answer_is_taken_in_peace_once_its_code_has_ended(bench):
    front = await bench.ready(timeout_s=100.0)
    front.on_call = lambda call: None
    task = bench.calling()
    (there,) = await bench.calls(1)
    (call,) = bench.service.calls.active.values()
    there.exchange.start(200)
    there.exchange.write(b"first, ")
    front.ended(there.id)
    await until(lambda: call.is_streaming and call.replica is None)
    call.check(call.last_s + 60.0)
    there.is_ended = True
    there.exchange.write(b"last")
    there.exchange.finish()
    answer = await task
    assert (answer.status, answer.body) == (200, b"first, last")


async def test_a_long_answer_may_take_its_slow_reader_longer_than_the_call_could(bench):
    front = await bench.ready(timeout_s=1.0)
    front.on_call = lambda call: None
    task = bench.calling()
    (there,) = await bench.calls(1)
    (call,) = bench.service.calls.active.values()
    longest_s = bench.service.calls.longest_s(call)
    there.exchange.start(200)
    there.exchange.write(bytes(100 * SLOWEST_BYTES_S))
    await until(lambda: call.is_streaming and call.answer_bytes == 100 * SLOWEST_BYTES_S)
    call.check(call.leased_s + longest_s + 99.0)
    assert not call.is_answered
    call.check(call.leased_s + longest_s + 101.0)
    with pytest.raises(AnswerLost):
        await task


async def test_an_answer_that_nobody_takes_is_cut_at_last(bench):
    front = await bench.ready(timeout_s=100.0)
    front.on_call = lambda call: None
    task = bench.calling()
    (there,) = await bench.calls(1)
    (call,) = bench.service.calls.active.values()
    there.exchange.start(200)
    front.ended(there.id)
    await until(lambda: call.is_streaming and call.replica is None)
    call.check(call.leased_s + 10_000.0)
    with pytest.raises(AnswerLost):
        await task
    assert not bench.service.calls.active


async def test_a_front_that_never_says_that_code_has_ended_is_ended(bench):
    front = await bench.ready(timeout_s=1.0)
    front.on_call = lambda call: call.answer(b"x", 504, (b"Faas-Running", b"1"))
    await bench.call()
    (call,) = bench.service.calls.active.values()
    call.check(call.last_s + 10_000.0)
    await until(lambda: front.replica_id in bench.provider.stopped)
    assert bench.ledger()["running"] == 0


# -- families ---------------------------------------------------------------------------------


def nested(bench, call, name="f", **headers):
    """Call from within another call."""
    return bench.calling(name, headers={"Faas-Parent": call.id, **headers})


async def test_a_nested_call_has_what_is_left_of_the_time_and_says_its_depth(bench):
    outer, inner = await bench.ready("outer"), await bench.ready("inner")
    outer.on_call = lambda call: None
    task = bench.calling("outer", headers={"Faas-Deadline-Ms": "60000"})
    (call,) = await bench.calls(1)
    assert (await nested(bench, call, "inner")).status == 200
    told = inner.calls[0].headers
    assert 40_000 < int(told[b"faas-deadline-ms"]) <= 60_000
    assert told[b"faas-depth"] == b"1"
    call.answer()
    await task


async def test_a_nested_call_ends_with_the_call_it_was_made_from(bench):
    outer, inner = await bench.ready("outer"), await bench.ready("inner")
    outer.on_call = inner.on_call = lambda call: None
    task = bench.calling("outer")
    (call,) = await bench.calls(1)
    child = nested(bench, call, "inner")
    await bench.calls(2)
    bench.service.calls.cancel(call.id)
    assert (await task).status == 499
    assert problem(await child)["code"] == "cancelled"
    await until(lambda: inner.calls[0].is_gone)


async def test_sixteen_deep_is_allowed_and_one_more_is_not(bench):
    bench.provider.prepare = lambda front: setattr(front, "on_call", lambda call: None)
    await bench.ready(max_inputs=100)
    tasks = [bench.calling()]
    for depth in range(1, 17):
        call = (await bench.calls(depth))[-1]
        tasks.append(nested(bench, call))
    last = (await bench.calls(17))[-1]
    refused = await nested(bench, last)
    assert (refused.status, problem(refused)["code"]) == (508, "bad_request")
    for call in reversed(bench.all_calls()):
        call.answer()
    assert {(await task).status for task in tasks} == {200}


async def test_a_call_that_only_its_ancestors_could_let_in_fails_at_once(bench):
    bench.provider.prepare = lambda front: setattr(front, "on_call", lambda call: None)
    settings = FunctionSettings(scaling=Scaling(max_containers=2), queue_timeout_s=60.0)
    await bench.deploy(settings=settings)
    tasks = [bench.calling()]
    tasks.append(nested(bench, (await bench.calls(1))[0]))
    second = (await bench.calls(2))[1]
    stuck = await nested(bench, second)
    assert (stuck.status, problem(stuck)["code"]) == (503, "nested_deadlock")
    assert "max_containers=2" in problem(stuck)["detail"]
    for call in reversed(bench.all_calls()):
        call.answer()
    await asyncio.gather(*tasks)


async def test_two_functions_that_wait_for_each_other_are_found(bench):
    bench.provider.prepare = lambda front: setattr(front, "on_call", lambda call: None)
    await bench.ready("a", scaling=ONE)
    await bench.ready("b", scaling=ONE)
    tasks = [bench.calling("a")]
    (first,) = await bench.calls(1)
    tasks.append(bench.calling("b"))
    second = next(call for call in await bench.calls(2) if call is not first)
    tasks.append(nested(bench, first, "b"))
    await until(lambda: bench.ledger()["queued"] == 1)
    answer = await nested(bench, second, "a")
    assert problem(answer)["code"] == "nested_deadlock"
    second.answer()
    third = next(c for c in await bench.calls(3) if c not in (first, second))
    third.answer()
    first.answer()
    assert [(await task).status for task in tasks] == [200, 200, 200]


async def test_a_nested_call_may_wait_for_strangers(bench):
    bench.provider.prepare = lambda front: setattr(front, "on_call", lambda call: None)
    await bench.ready("outer")
    await bench.ready("inner", scaling=ONE)
    stranger = bench.calling("inner")
    (theirs,) = await bench.calls(1)
    outer = bench.calling("outer")
    ours = next(call for call in await bench.calls(2) if call is not theirs)
    child = nested(bench, ours, "inner")
    await until(lambda: bench.ledger()["queued"] == 1)
    theirs.answer()
    next(c for c in await bench.calls(3) if c not in (theirs, ours)).answer()
    ours.answer()
    assert [(await task).status for task in (stranger, child, outer)] == [200, 200, 200]


# -- logs -------------------------------------------------------------------------------------


async def test_what_is_printed_is_kept_by_invocation(bench):
    front = await bench.ready()
    front.log("i-1", b"hello\n")
    front.log("", b"nobody's\n", STDERR)
    logs = bench.service.logs
    await until(lambda: len(logs.read("default", "f")) == 2)
    pieces = logs.read("default", "f")
    assert [(one.invocation, one.text) for one in pieces] == [
        ("i-1", b"hello\n"),
        ("", b"nobody's\n"),
    ]


# -- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"1", bytes(100_000)])
async def test_an_ended_call_leaves_nothing_to_the_collector(bench, body):
    front = await bench.ready()
    front.on_call = lambda call: call.answer()
    await bench.call(body=body)
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            await bench.call(body=body)
        await until(lambda: not any(isinstance(one, Invocation) for one in gc.get_objects()))
    finally:
        gc.enable()
