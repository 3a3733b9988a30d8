from __future__ import annotations

import asyncio
import threading
import time

import msgspec
import pytest

from jupyter_faas.core import batch, codec
from jupyter_faas.core.batch import DONE, GIVEN_BACK, RAISED, STARTED, BatchError, Head
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.execution.failure import Fault
from jupyter_faas.execution.forms import FramedForm
from jupyter_faas.execution.items import AHEAD, HOLD_BYTES, ItemsCall
from jupyter_faas.execution.minder import Minder


def chunk(*items, **head):
    payloads = [b"".join(codec.dumps_call((item,), {})) for item in items]
    indices = list(range(10, 10 + len(items)))
    told = Head(indices, bytes(len(items)), [len(p) for p in payloads], **head)
    return b"".join(batch.pack(told, payloads))


class Said:
    """Takes batches, as the channel would."""

    def __init__(self):
        self.batches = []
        self.settled = 0
        self.hook = lambda: None
        self.has_room = True

    def item(self, parts, body_type):
        self.batches.append(batch.unpack(b"".join(parts)))

    def settle(self):
        self.settled += 1

    def before_log(self, hook):
        self.hook = hook

    @property
    def items(self):
        return [
            (index, kind, bytes(body))
            for head, bodies in self.batches
            for index, kind, body in zip(head.indices, head.kinds, bodies, strict=True)
        ]

    def kinds(self):
        return [(index, kind) for index, kind, _ in self.items]


class SaidAsync(Said):
    def __init__(self):
        super().__init__()
        self.given_back = asyncio.Event()

    async def item(self, parts, body_type):
        super().item(parts, body_type)

    def offer(self, parts):
        super().item(parts, 0)
        if any(kind == GIVEN_BACK for _, kind in self.kinds()):
            self.given_back.set()


class Asleep(Minder):
    """Looks at nothing: what it would do to a call depends on how long that takes."""

    def watch(self, minded):
        pass

    def leave(self, minded):
        pass


def make(target, body):
    return ItemsCall(target, body, FramedForm(ClassTable(None)), Asleep())


def test_each_item_has_its_outcome():
    said = Said()
    make(lambda x: 10 // x, chunk(1, 0, 5)).perform(said)
    assert said.kinds() == [(10, DONE), (11, RAISED), (12, DONE)]
    assert codec.loads(said.items[0][2]) == 10
    fault = msgspec.msgpack.decode(said.items[1][2], type=Fault)
    assert isinstance(codec.loads(fault.exception), ZeroDivisionError)


def test_quick_items_are_told_together():
    said = Said()
    make(lambda x: x, chunk(*range(500))).perform(said)
    assert sum(kind == DONE for _, kind in said.kinds()) == 500
    assert len(said.batches) < 100


def test_an_exact_chunk_tells_each_start_before_it_happens():
    said = Said()
    seen = []
    make(lambda x: seen.append(said.kinds()[-1]), chunk(1, 2, is_exact=True)).perform(said)
    assert seen == [(10, STARTED), (11, STARTED)]
    assert said.kinds() == [(10, STARTED), (10, DONE), (11, STARTED), (11, DONE)]
    assert said.settled == 2


@pytest.mark.parametrize("count", [3, AHEAD, 3 * AHEAD])
def test_what_waits_behind_a_slow_item_is_given_back_while_it_runs(count):
    said, begun, go = Said(), threading.Event(), threading.Event()
    call = make(lambda x: (begun.set(), go.wait(20.0)), chunk(*range(count), budget_s=0.02))
    thread = threading.Thread(target=call.perform, args=(said,))
    thread.start()
    assert begun.wait(20.0)
    call.tick(time.monotonic() + 1.0)
    assert (11, GIVEN_BACK) in said.kinds()
    go.set()
    thread.join()
    given_back = [(index, GIVEN_BACK) for index in range(11, 10 + count)]
    assert sorted(said.kinds()) == [(10, DONE), (10, STARTED), *given_back]


def test_a_call_in_a_thread_is_looked_at_while_it_runs_and_not_after():
    looked, minder = threading.Event(), Minder()

    class Call:
        def tick(self, now_s):
            looked.set()

    minded = Call()
    minder.watch(minded)
    assert looked.wait(20.0)
    minder.leave(minded)
    assert not minder._watched


@pytest.mark.parametrize("count", [1, AHEAD, AHEAD + 1, 5 * AHEAD - 1])
def test_every_item_runs_once_and_in_order(count):
    said, ran = Said(), []
    make(ran.append, chunk(*range(count))).perform(said)
    assert ran == list(range(count))
    assert said.kinds() == [(10 + n, DONE) for n in range(count)]


def test_a_result_is_what_it_was_when_it_was_returned():
    said, many = Said(), []

    def grow(x):
        many.append(x)
        return many

    make(grow, chunk(1, 2, 3)).perform(said)
    assert [codec.loads(body) for _, _, body in said.items] == [[1], [1, 2], [1, 2, 3]]


@pytest.mark.parametrize("value", [0, -1, 10**40, 1.5, True, None, "", "\ud800 ü", "x" * 5000])
def test_values_that_are_written_late_are_the_same(value):
    said = Said()
    make(lambda x: value, chunk(1, 2)).perform(said)
    assert [codec.loads(body) for _, _, body in said.items] == [value, value]
    assert type(codec.loads(said.items[0][2])) is type(value)


def test_what_is_not_sent_yet_is_bounded_whatever_its_kind():
    said = Said()
    make(lambda x: "y" * x, chunk(*[HOLD_BYTES // 4] * 16)).perform(said)
    assert max(sum(head.sizes) for head, _ in said.batches) < 2 * HOLD_BYTES


def test_an_interrupt_ends_the_chunk_and_tells_which_item_ran():
    said = Said()

    def interrupted(x):
        raise KeyboardInterrupt

    call = make(interrupted, chunk(1, 2))
    with pytest.raises(KeyboardInterrupt) as caught:
        call.perform(said)
    assert said.kinds() == [(10, STARTED)]
    assert call.fault_of(caught.value).problem["code"] == "remote_error"


def test_what_would_end_the_process_is_an_items_error():
    said = Said()

    def leaves(x):
        raise SystemExit(3)

    make(leaves, chunk(1, 2)).perform(said)
    assert said.kinds() == [(10, RAISED), (11, RAISED)]


def test_before_something_is_printed_its_item_is_known():
    said = Said()
    make(lambda x: said.hook(), chunk(1)).perform(said)
    assert said.kinds()[0] == (10, STARTED)


def test_arguments_that_cannot_be_read_are_that_items_error():
    body = bytearray(chunk(1, 2))
    at = body.index(b"FPL1")
    body[at : at + 4] = b"XXXX"
    said = Said()
    make(lambda x: x, bytes(body)).perform(said)
    assert said.kinds() == [(10, RAISED), (11, DONE)]


def test_what_is_no_batch_is_refused():
    with pytest.raises(BatchError):
        make(lambda x: x, b"\xff\xff\xff\xff....")
    with pytest.raises(BatchError):
        batch.unpack(chunk(1, 2)[:-1])


async def test_coroutines_run_one_after_the_other():
    async def double(x):
        await asyncio.sleep(0)
        if x == 3:
            raise ValueError
        return 2 * x

    said = SaidAsync()
    await make(double, chunk(1, 3, 2, is_exact=True)).perform_async(said)
    kinds = [pair for pair in said.kinds() if pair[1] != STARTED]
    assert kinds == [(10, DONE), (11, RAISED), (12, DONE)]


async def test_a_slow_coroutine_gives_back_what_waits():
    gate = asyncio.Event()
    said = SaidAsync()

    async def slow(x):
        await gate.wait()

    call = make(slow, chunk(1, 2, budget_s=0.02))
    task = asyncio.get_running_loop().create_task(call.perform_async(said))
    async with asyncio.timeout(20.0):
        await said.given_back.wait()
    gate.set()
    await task
    assert (10, DONE) in said.kinds()
    assert (11, DONE) not in said.kinds()
