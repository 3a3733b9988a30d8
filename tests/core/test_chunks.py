from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.core import chunks as module
from jupyter_faas.core.chunk_size import GROWTH, LEAST_S, TARGET_S, ChunkSize, fair_shares
from jupyter_faas.core.chunks import Chunks, Outcome, Rules
from jupyter_faas.core.model import Retries
from jupyter_faas.core.suspects import MOST_MOVES


def make(count=0, *, closed=True, **rules):
    chunks = Chunks(Rules(**rules))
    chunks.add([b"%d" % n for n in range(count)])
    if closed:
        chunks.close()
    return chunks


def taken(chunks, now_s=0.0, slots=1):
    found = chunks.take(now_s, slots)
    assert found is not None
    return found


def answer(chunks, found, now_s=1.0, busy_s=0.001):
    for index in found.indices:
        chunks.finish(found.chunk, index, b"r%d" % index, now_s)
    chunks.end(found.chunk, busy_s)


def warm(chunks, item_s=0.001):
    """Teach it how long items take."""
    chunks.size.ran(1000, 1000 * item_s)


# -- sizes


def test_the_first_chunk_has_one_item_and_the_next_ones_aim_at_the_target():
    size = ChunkSize()
    assert size.next(10_000, 2, is_last=False) == 1
    size.ran(1, 0.001)
    assert size.next(10_000, 2, is_last=False) == GROWTH
    size.ran(GROWTH, GROWTH * 0.001)
    assert size.next(10_000, 2, is_last=False) == round(TARGET_S / 0.001)


def test_slow_items_go_one_by_one():
    size = ChunkSize()
    size.ran(1, 5.0)
    assert size.next(10_000, 2, is_last=True) == 1


def test_what_is_left_at_the_end_is_divided_among_the_workers():
    size = ChunkSize()
    size.ran(10, 0.1)
    assert size.next(40, 4, is_last=True) == 5
    assert size.next(40, 4, is_last=False) == 10


def test_what_is_not_worth_a_chunk_of_its_own_is_not_divided_further():
    size = ChunkSize()
    size.ran(1000, 0.01)
    assert size.next(2 * int(LEAST_S / 1e-5), 4, is_last=True) == int(LEAST_S / 1e-5)
    assert size.next(40, 4, is_last=True) == 40


def test_a_wanted_size_is_kept():
    assert ChunkSize(7).next(3, 2, is_last=True) == 7


@settings(deadline=None)
@given(st.integers(0, 300), st.lists(st.integers(0, 100), max_size=8))
def test_shares_are_fair_and_complete(capacity, wants):
    shares = fair_shares(capacity, wants)
    assert sum(shares) == min(capacity, sum(wants))
    for share, want in zip(shares, wants, strict=True):
        assert share <= want
        if share < want:
            assert share >= max(shares) - 1, "whoever lacks something has as much as anybody"


# -- order and release


def test_results_are_released_in_input_order_whatever_comes_first():
    chunks = make(3)
    first, second, third = (taken(chunks) for _ in range(3))
    answer(chunks, third)
    answer(chunks, second)
    assert chunks.release() == []
    answer(chunks, first)
    assert [r.at for r in chunks.release()] == [0, 1, 2]
    assert chunks.is_over


def test_unordered_results_are_released_as_they_come():
    chunks = make(2, is_ordered=False)
    first, second = taken(chunks), taken(chunks)
    answer(chunks, second)
    assert [r.at for r in chunks.release()] == [1]
    assert not chunks.is_over
    answer(chunks, first)
    assert [r.at for r in chunks.release()] == [0]
    assert chunks.is_over


def test_no_inputs_are_over_at_once():
    assert make(0).is_over
    assert not make(0, closed=False).is_over


# -- errors


def test_the_first_error_in_input_order_is_the_last_thing_released():
    chunks = make(4)
    one, two, three = taken(chunks), taken(chunks), taken(chunks)
    chunks.fail(three.chunk, 2, b"late", 1.0)
    assert chunks.take(1.0) is None, "nothing after a failed item is begun"
    chunks.fail(two.chunk, 1, b"early", 1.0)
    chunks.end(two.chunk, 0.1)
    answer(chunks, one)
    assert chunks.release() == [Outcome(0, False, b"r0"), Outcome(1, True, b"early")]
    assert chunks.is_over


def test_work_behind_an_error_is_of_no_use():
    chunks = make(3)
    one, two = taken(chunks), taken(chunks)
    chunks.fail(one.chunk, 0, b"error", 1.0)
    assert chunks.useless() == [two.chunk], "the other one ends by itself"


def test_errors_are_results_where_exceptions_are_returned():
    chunks = make(2, stops_at_error=False)
    found = taken(chunks)
    chunks.fail(found.chunk, 0, b"error", 1.0)
    chunks.end(found.chunk, 0.1)
    answer(chunks, taken(chunks))
    assert chunks.release() == [Outcome(0, True, b"error"), Outcome(1, False, b"r1")]
    assert chunks.failed == 1


def test_an_item_that_raises_is_tried_again_later_as_retries_allow():
    chunks = make(1, retries=Retries(max_retries=1, initial_delay_s=2.0))
    found = taken(chunks)
    chunks.fail(found.chunk, 0, b"once", 10.0)
    chunks.end(found.chunk, 0.1)
    assert chunks.take(11.9) is None
    assert chunks.next_due_s() == 12.0
    again = taken(chunks, 12.0)
    chunks.fail(again.chunk, 0, b"twice", 13.0)
    assert chunks.release() == [Outcome(0, True, b"twice")]


def test_a_timeout_is_not_tried_again():
    chunks = make(1, retries=Retries(max_retries=5))
    found = taken(chunks)
    chunks.fail(found.chunk, 0, b"timeout", 1.0, may_retry=False)
    assert chunks.release() == [Outcome(0, True, b"timeout")]


# -- deaths


def test_after_a_death_finished_items_are_kept_and_the_rest_goes_on_carefully():
    chunks = make(100)
    warm(chunks)
    found = taken(chunks)
    assert len(found.indices) > 4
    chunks.finish(found.chunk, 0, b"r0", 1.0)
    chunks.die(found.chunk, b"dead")
    again = taken(chunks)
    assert again.indices[0] == 1, "what was reported does not run again"
    assert again.chunk.is_exact
    assert len(again.indices) == (len(found.indices) - 1) // 2


def test_only_the_running_item_of_an_exact_chunk_gets_a_strike():
    chunks = make(8, idempotent=False, stops_at_error=False, chunk_size=4)
    warm(chunks)
    found = taken(chunks)
    assert found.chunk.is_exact
    chunks.start(found.chunk, 0, 1.0)
    chunks.finish(found.chunk, 0, b"r0", 1.0)
    chunks.start(found.chunk, 1, 1.0)
    chunks.die(found.chunk, b"dead")
    assert taken(chunks).indices[0] == 2, "the running one may have had effects: not again"


def test_items_that_may_not_run_twice_travel_alone():
    chunks = make(8, idempotent=False)
    warm(chunks)
    assert taken(chunks).indices == [0]


def test_where_reports_may_be_lost_nothing_runs_again_that_may_not():
    chunks = make(4, idempotent=False, stops_at_error=False, chunk_size=3)
    found = taken(chunks)
    chunks.finish(found.chunk, 0, b"r0", 1.0)
    chunks.die(found.chunk, b"dead", is_told=False)
    assert taken(chunks).indices == [3]
    assert [(r.at, r.is_error) for r in chunks.release()] == [(0, False), (1, True), (2, True)]


def test_a_poisonous_item_fails_alone_after_three_deaths():
    chunks = make(64, stops_at_error=False)
    warm(chunks)
    deaths = 0
    while not chunks.is_over:
        found = taken(chunks, 1.0)
        for index in found.indices:
            chunks.start(found.chunk, index, 1.0)
            if index == 13:
                deaths += 1
                chunks.die(found.chunk, b"dead")
                break
            chunks.finish(found.chunk, index, b"ok", 1.0)
        else:
            chunks.end(found.chunk, 0.01)
        out = chunks.release()
        assert all(r.is_error == (r.at == 13) for r in out)
    assert deaths == 3
    assert chunks.failed == 1


def test_what_ran_beside_a_poisonous_item_has_its_last_try_alone():
    chunks = make(3, is_shared=True, stops_at_error=False)
    for _ in range(2):
        together = [taken(chunks), taken(chunks)]
        for found in together:
            chunks.start(found.chunk, found.indices[0], 1.0)
        for found in together:
            chunks.die(found.chunk, b"dead")
    alone = taken(chunks)
    assert (alone.indices, chunks.take(1.0)) == ([0], None)
    answer(chunks, alone)
    alone = taken(chunks)
    assert (alone.indices, chunks.take(1.0)) == ([1], None)
    chunks.start(alone.chunk, 1, 1.0)
    chunks.die(alone.chunk, b"dead")
    answer(chunks, taken(chunks))
    assert [(r.at, r.is_error) for r in chunks.release()] == [(0, False), (1, True), (2, False)]


def test_suspects_are_tried_again_few_at_a_time_so_that_few_are_left_to_stand_alone():
    chunks = make(100, is_shared=True, stops_at_error=False)
    rounds = deaths = 0
    while not chunks.is_over:
        rounds += 1
        assert rounds < 40, "one after the other would be 100"
        wanted = chunks.wanted
        together = list(iter(lambda: chunks.take(1.0, 100), None))
        assert len(together) <= wanted
        for found in together:
            chunks.start(found.chunk, found.indices[0], 1.0)
        is_fatal = any(found.indices[0] == 77 for found in together)
        deaths += is_fatal
        for found in together:
            if is_fatal:
                chunks.die(found.chunk, b"dead")
            else:
                answer(chunks, found)
        assert all(out.is_error == (out.at == 77) for out in chunks.release())
    assert (chunks.failed, deaths) == (1, 3)


def test_a_last_try_waits_for_what_is_under_way_and_nothing_begins_before_it():
    chunks = make(3, is_shared=True)
    found, beside = taken(chunks), taken(chunks)
    for _ in range(2):
        chunks.start(found.chunk, 0, 1.0)
        chunks.die(found.chunk, b"dead")
        found = chunks.take(1.0)
    assert found is None
    answer(chunks, beside)
    assert taken(chunks).indices == [0]
    assert chunks.take(1.0) is None


def test_a_node_that_goes_away_is_not_the_items_fault():
    chunks = make(1)
    for _ in range(MOST_MOVES):
        found = taken(chunks)
        chunks.start(found.chunk, 0, 1.0)
        chunks.die(found.chunk, b"gone", is_own=False)
    answer(chunks, taken(chunks))
    assert chunks.release() == [Outcome(0, False, b"r0")]


def test_workers_that_die_before_anything_is_reported_end_the_map_at_last():
    chunks = make(1)
    for _ in range(100):
        found = chunks.take(0.0)
        if found is None:
            break
        chunks.die(found.chunk, b"dead")
    assert chunks.release() == [Outcome(0, True, b"dead")]


# -- slow items


def test_neighbours_of_a_slow_item_go_to_another_worker():
    chunks = make(20)
    warm(chunks)
    found = taken(chunks)
    rest = found.indices[1:]
    chunks.give_back(found.chunk, rest)
    assert taken(chunks).indices[0] == rest[0]
    answer(chunks, found._replace(indices=found.indices[:1]))


def test_an_idempotent_straggler_is_begun_once_more_and_counted_once():
    chunks = make(2, idempotent=True)
    slow, quick = taken(chunks), taken(chunks)
    answer(chunks, quick, busy_s=0.01)
    assert chunks.take(0.2) is None
    due_s = chunks.second_due_s()
    again = taken(chunks, due_s + 0.01)
    assert again.indices == slow.indices
    assert chunks.take(due_s + 0.01) is None, "once"
    answer(chunks, again)
    assert chunks.useless() == [slow.chunk]
    answer(chunks, slow)
    assert [r.at for r in chunks.release()] == [0, 1]


def test_what_may_not_run_twice_is_not_begun_twice():
    chunks = make(2)
    taken(chunks)
    answer(chunks, taken(chunks))
    assert chunks.take(1e6) is None


# -- bounds


def test_inputs_are_taken_in_as_far_as_there_is_room():
    chunks = make(0, closed=False)
    while chunks.wants_inputs:
        chunks.add([b"x" * (1 << 20)])
    assert chunks.given <= 33
    answer(chunks, taken(chunks))
    assert chunks.wants_inputs


def test_large_inputs_are_at_several_workers_at_once_and_still_bounded():
    chunks, large, out = Chunks(Rules(chunk_size=1)), b"x" * (module.MOST_BYTES_HELD + 1), []
    while chunks.wants_inputs:
        chunks.add([large])
        out.append(taken(chunks))
    assert len(out) == -(-module.MOST_BYTES_OUT // len(large))
    answer(chunks, out[0])
    assert chunks.wants_inputs, "one that has ended makes room for another"
    chunks.add([large])
    assert not chunks.wants_inputs, "no worker is free for it"


def test_a_slow_reader_stops_the_work_but_never_the_item_that_is_waited_for():
    chunks = make(200)
    first = taken(chunks)
    count = 0
    while (found := chunks.take(0.0)) is not None:
        for index in found.indices:
            chunks.finish(found.chunk, index, b"x" * (1 << 20), 1.0)
        chunks.end(found.chunk, 1.0)
        count += 1
    assert count <= 33
    chunks.refuse(first.chunk)
    assert taken(chunks).indices == [0]


# -- whatever happens

WORLDS = st.fixed_dictionaries(
    {
        "count": st.integers(0, 60),
        "workers": st.integers(1, 5),
        "is_ordered": st.booleans(),
        "idempotent": st.sampled_from([None, True, False]),
        "stops_at_error": st.booleans(),
        "max_retries": st.integers(0, 2),
        "chunk_size": st.sampled_from([0, 0, 4]),
        "reports_starts": st.booleans(),
    }
)


@settings(max_examples=50, deadline=None)
@given(WORLDS, st.data())
def test_each_item_comes_out_once_in_order_and_runs_no_more_than_allowed(world, data):
    simulated = World(world, data)
    for _ in range(5000):
        simulated.step()
        if simulated.chunks.is_over:
            break
    simulated.check()


class World:
    """Workers that end, give back, die and vanish as hypothesis likes."""

    def __init__(self, world, data):
        self.data = data
        self.count, self.workers = world["count"], world["workers"]
        self.rules = Rules(
            is_ordered=world["is_ordered"],
            idempotent=world["idempotent"],
            stops_at_error=world["stops_at_error"],
            chunk_size=world["chunk_size"],
            retries=Retries(max_retries=world["max_retries"], initial_delay_s=0.5),
        )
        self.chunks = Chunks(self.rules)
        warm(self.chunks, data.draw(st.sampled_from([1e-4, 0.01, 0.05])))
        self.poison = data.draw(st.sets(st.integers(0, 60), max_size=3))
        self.raising = data.draw(st.sets(st.integers(0, 60), max_size=3)) - self.poison
        self.runs = dict.fromkeys(range(self.count), 0)
        self.gone = 0
        self.out, self.at_work, self.now_s = [], [], 0.0

    def step(self):
        self.now_s += 0.1
        self.feed()
        useless = self.chunks.useless()
        self.at_work = [found for found in self.at_work if found.chunk not in useless]
        for chunk in useless:
            self.chunks.refuse(chunk)
        while len(self.at_work) < self.workers:
            found = self.chunks.take(self.now_s, self.workers)
            if found is None:
                break
            self.at_work.append(found)
        if self.at_work:
            at = self.data.draw(st.integers(0, len(self.at_work) - 1))
            self.work(self.at_work.pop(at))
        self.out += self.chunks.release()

    def feed(self):
        left = self.count - self.chunks.given
        if left:
            self.chunks.add([b"x"] * min(left, self.data.draw(st.integers(1, 20))))
        elif self.chunks.total is None:
            self.chunks.close()

    def work(self, found):
        fate = self.data.draw(st.sampled_from(["end", "end", "end", "die", "gone", "cut", "back"]))
        chunk, indices = found.chunk, found.indices
        if fate == "back":
            self.chunks.give_back(chunk, indices[1:])
            indices = indices[:1]
        stop = self.data.draw(st.integers(0, len(indices) - 1))
        for at, index in enumerate(indices):
            if fate == "cut" and at >= stop:  # it works on, and nobody hears of it
                self.runs[index] += 1
                if at == len(indices) - 1 or at > stop:
                    self.chunks.die(chunk, b"dead", is_told=False)
                    return
                continue
            if chunk.is_exact:
                self.chunks.start(chunk, index, self.now_s)
            self.runs[index] += 1
            if index in self.poison or (fate in ("die", "gone") and at == stop):
                is_own = index in self.poison or fate == "die"
                self.chunks.die(chunk, b"dead", is_own=is_own)
                return
            if index in self.raising:
                self.chunks.fail(chunk, index, b"error", self.now_s)
            else:
                self.chunks.finish(chunk, index, b"ok", self.now_s)
        self.chunks.end(chunk, 0.01 * len(indices))

    def check(self):
        assert self.chunks.is_over, "it ends"
        order = [outcome.at for outcome in self.out]
        assert len(set(order)) == len(order), "none twice"
        if self.rules.is_ordered:
            assert order == list(range(len(order)))
        if not self.rules.stops_at_error:
            assert sorted(order) == list(range(self.count)), "none lost"
        retries = self.rules.retries.max_retries
        if self.rules.idempotent is False:
            assert all(n <= 1 + retries for n in self.runs.values()), "not again after a death"
        most = 3 + retries + MOST_MOVES
        most *= 2 if self.rules.idempotent else 1
        assert all(n <= most for n in self.runs.values())


SHARED = st.fixed_dictionaries(
    {
        "count": st.integers(1, 40),
        "workers": st.integers(1, 3),
        "threads": st.integers(1, 4),
        "poison": st.sets(st.integers(0, 40), max_size=3),
        "chunk_size": st.sampled_from([0, 0, 4]),
        "item_s": st.sampled_from([1e-4, 0.01, 0.05]),
    }
)


@settings(max_examples=100, deadline=None)
@given(SHARED, st.randoms(use_true_random=False))
def test_nothing_but_a_poisonous_item_fails_whatever_runs_beside_it(world, random):
    shared = Shared(world, random)
    for _ in range(10_000):
        if shared.chunks.is_over:
            break
        shared.step()
    assert shared.chunks.is_over
    assert shared.failed == {index for index in world["poison"] if index < world["count"]}
    assert shared.deaths.keys() == shared.failed
    assert all(count <= shared.rules.most_runs for count in shared.deaths.values())


class Shared:
    """Workers with threads: a poisonous item takes along all that runs beside it."""

    def __init__(self, world, random):
        self.random, self.poison = random, world["poison"]
        self.threads = world["threads"]
        self.rules = Rules(
            stops_at_error=False, chunk_size=world["chunk_size"], is_shared=self.threads > 1
        )
        self.chunks = Chunks(self.rules)
        warm(self.chunks, world["item_s"])
        self.chunks.add([b"x"] * world["count"])
        self.chunks.close()
        self.at = [[] for _ in range(world["workers"])]
        self.failed, self.deaths = set(), {}

    def step(self):
        self.fill()
        worker = self.random.choice([worker for worker in self.at if worker])
        self.go_on(worker, self.random.choice(worker))
        self.failed |= {out.at for out in self.chunks.release() if out.is_error}

    def fill(self):
        while free := [worker for worker in self.at if len(worker) < self.threads]:
            found = self.chunks.take(1.0, self.threads * len(self.at))
            if found is None:
                return
            self.random.choice(free).append(Thread(found))

    def go_on(self, worker, thread):
        if thread.running is None and thread.rest:
            thread.running = thread.rest.pop(0)
            if thread.chunk.is_exact:
                self.chunks.start(thread.chunk, thread.running, 1.0)
        elif thread.running in self.poison:
            self.deaths[thread.running] = self.deaths.get(thread.running, 0) + 1
            dead = worker.copy()
            worker.clear()
            self.random.shuffle(dead)
            for one in dead:
                self.chunks.die(one.chunk, b"dead")
        else:
            thread.unsaid += [] if thread.running is None else [thread.running]
            thread.running = None
            is_last = not thread.rest
            if thread.chunk.is_exact or is_last or self.random.random() < 0.3:
                for index in thread.unsaid:
                    self.chunks.finish(thread.chunk, index, b"ok", 1.0)
                thread.unsaid = []
            if is_last:
                self.chunks.end(thread.chunk, 0.01)
                worker.remove(thread)


class Thread:
    """One chunk at a worker: what it has not begun, runs, and has not said yet."""

    def __init__(self, found):
        self.chunk, self.rest = found.chunk, list(found.indices)
        self.running, self.unsaid = None, []


def test_what_it_says_about_itself():
    chunks = make(3)
    assert chunks.wanted == 3
    found = taken(chunks)
    assert chunks.chunks == (found.chunk,)
    assert chunks.wanted == 3
    assert chunks.next_due_s() is None
    assert chunks.second_due_s() is None
    assert chunks.size.item_s == 0
    chunks.size.ran(0, 1.0)
    assert chunks.size.item_s == 0


def test_inputs_after_an_error_are_dropped():
    chunks = make(1, closed=False)
    found = taken(chunks)
    chunks.fail(found.chunk, 0, b"error", 1.0)
    chunks.add([b"more"])
    assert chunks.take(1.0) is None
    assert not chunks.wants_inputs


def test_large_items_travel_alone():
    chunks = make(0, closed=False)
    chunks.add([b"x" * (3 << 20)] * 3)
    chunks.close()
    warm(chunks, 1e-6)
    assert taken(chunks).indices == [0]


def test_a_late_answer_of_an_item_that_ended_elsewhere_is_dropped():
    chunks = make(1, idempotent=True)
    chunks.add([b"more"])
    chunks.close()
    slow = taken(chunks)
    answer(chunks, taken(chunks))
    again = taken(chunks, 100.0)
    answer(chunks, again)
    chunks.fail(slow.chunk, 0, b"late", 101.0)
    chunks.fail(slow.chunk, 0, b"twice", 101.0)
    chunks.end(slow.chunk, 1.0)
    assert [r.at for r in chunks.release()] == [0, 1]
    assert chunks.failed == 0
