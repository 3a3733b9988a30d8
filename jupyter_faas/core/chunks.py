"""One map's items: which go to which worker, what a death costs, what may be handed out. Pure.

    queued ─▶ in a chunk ─▶ held (done, waiting for its turn) ─▶ released
      ▲            │ given back unstarted; failed and retried; lost with its worker
      └────────────┘

Payloads are opaque here. A worker reports items outside a chunk's end: what is reported is kept
whatever happens to the worker. An *exact* chunk reports each item's start before it runs: after a
death the running item is known, and it alone gets the strike. Other chunks report in batches; after
a death nobody knows which of the unreported items was it, so all of them go into exact chunks, half
as large, until the poisonous one stands alone (`suspects.py`).

No clock and no I/O: time is an argument. `fanout/run.py` does what is said here.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence

from jupyter_faas.core.chunk import Chunk, Given, Outcome, Payload, Rules
from jupyter_faas.core.chunk_size import MOST_BYTES, ChunkSize
from jupyter_faas.core.suspects import Suspects

__all__ = ["Chunk", "Chunks", "Given", "Outcome", "Rules"]

MOST_ITEMS_HELD = 32_768
MOST_BYTES_HELD = 32 << 20
"""Inputs that wait, and results that wait, each: beyond this nothing more is taken in or begun."""
MOST_BYTES_OUT = 128 << 20
"""Inputs at workers may be so much more: large ones are to be at several workers at once."""
MOST_AHEAD = 4 * MOST_ITEMS_HELD
"""How far behind the newest item in work the oldest unreleased one may be."""
STRAGGLER = 3.0
"""An item that takes so many times the mean may be begun once more by an idle worker."""
STRAGGLER_LEAST_S = 0.25


class Chunks:
    """The items of one map.

    Args:
        rules: What is allowed.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.size = ChunkSize(rules.chunk_size)
        self._inputs: dict[int, Payload] = {}
        self._queue: deque[int] = deque()
        self._late: list[tuple[float, int]] = []  # failed, to be tried again: (when, index)
        self._tries: dict[int, int] = {}
        self._suspects = Suspects(rules)
        self._held: dict[int, tuple[bool, Payload]] = {}
        self._finished: set[int] = set()  # released out of order, above `_next`
        self._chunks: dict[int, Chunk] = {}
        self._twice: set[int] = set()
        self._alone: Chunk | None = None
        self._next = 0
        self._fence: int | None = None
        self._ids = 0
        self._input_bytes = self._held_bytes = 0
        self.total: int | None = None
        """Number of items; None: more may come."""
        self.given = 0
        """Inputs taken in so far."""
        self.released = 0
        self.failed = 0
        """Items that have ended with an error."""
        self.done = 0
        """Items that have ended either way."""

    # -- inputs

    @property
    def wants_inputs(self) -> bool:
        """Whether more inputs may be taken in."""
        most_bytes = MOST_BYTES_HELD if self._queue else MOST_BYTES_OUT
        is_full = len(self._inputs) >= MOST_ITEMS_HELD or self._input_bytes >= most_bytes
        return not is_full and self._fence is None

    def add(self, payloads: Iterable[Payload]) -> None:
        """Take inputs in, the next ones in order."""
        for payload in payloads:
            index = self.given
            self.given += 1
            if self._fence is not None and index > self._fence:
                continue
            self._inputs[index] = payload
            self._input_bytes += len(payload)
            self._queue.append(index)

    def skip(self) -> None:
        """The next input has its outcome already, from an earlier time: it is not run."""
        index = self.given
        self.given += 1
        self.done += 1
        self.released += 1
        self._advance(index)

    def has_raised(self, index: int, tries: int) -> None:
        """An input that is to come has raised so often, at an earlier time."""
        self._tries[index] = tries

    def close(self) -> None:
        """No more inputs come."""
        self.total = self.given

    # -- giving out

    @property
    def chunks(self) -> Sequence[Chunk]:
        """Chunks that are at workers."""
        return tuple(self._chunks.values())

    @property
    def wanted(self) -> int:
        """How many workers could be busy with this map: chunks out, and items that may follow."""
        out = len(self._chunks)
        if self._alone is not None:
            return out
        if self._queue and self._suspects.is_one_of_many(self._queue[0]):
            return max(out, self._suspects.most_out)
        return out + len(self._queue)

    def next_due_s(self) -> float | None:
        """Return when the next failed item is to be tried again."""
        return self._late[0][0] if self._late else None

    def take(self, now_s: float, slots: int = 1) -> Given | None:
        """Return a chunk for a free worker; None: nothing may be begun now."""
        while self._late and self._late[0][0] <= now_s:
            self._queue.appendleft(heapq.heappop(self._late)[1])
        if self._alone is not None:
            return None
        if not self._queue:
            return self._second(now_s)
        first, suspects = self._queue[0], self._suspects
        if not self._may_begin(first):
            return None
        if suspects.is_last_try(first):
            return self._give_alone(now_s)
        if suspects.is_one_of_many(first) and len(self._chunks) >= suspects.most_out:
            return None
        return self._give_some(now_s, slots)

    def _give_some(self, now_s: float, slots: int) -> Given:
        """Give the first items of the queue out, as many as are to travel together."""
        queue, inputs, suspects = self._queue, self._inputs, self._suspects
        cap = suspects.cap(queue[0])
        size = cap or self.size.next(len(queue), slots, is_last=self.total is not None)
        if self._rules.idempotent is False and not self._rules.chunk_size:
            size = 1  # a report may be lost with who carries it: then this item alone may have run
        has_suspects = bool(suspects)
        indices: list[int] = []
        payloads: list[Payload] = []
        left = MOST_BYTES
        while queue and len(indices) < size:
            payload = inputs[queue[0]]
            left -= len(payload)
            if indices and (left < 0 or (has_suspects and not suspects.may_follow(queue[0], cap))):
                break
            indices.append(queue.popleft())
            payloads.append(payload)
        is_exact = cap is not None or self._rules.most_runs == 1
        return self._give(indices, payloads, now_s, is_exact=is_exact)

    def _may_begin(self, index: int) -> bool:
        """Whether there is room for results; the one that is waited for always may."""
        if index == self._next:
            return True
        is_full = len(self._held) >= MOST_ITEMS_HELD or self._held_bytes >= MOST_BYTES_HELD
        return not is_full and index - self._next < MOST_AHEAD

    def _give_alone(self, now_s: float) -> Given | None:
        """Give the first item out if nothing else is; else it waits for that, all others too."""
        if self._chunks:
            return None
        index = self._queue.popleft()
        given = self._give([index], [self._inputs[index]], now_s, is_exact=True)
        given.chunk.is_alone = True
        self._alone = given.chunk
        return given

    def _second(self, now_s: float) -> Given | None:
        """Begin a straggler once more, if it may run twice and nothing else is to be done."""
        if self._rules.idempotent is not True or self.total is None or self._late:
            return None
        after_s = max(STRAGGLER_LEAST_S, STRAGGLER * self.size.item_s)
        for chunk in self._chunks.values():
            index = next(iter(chunk.items), None)
            is_late = now_s - chunk.since_s > after_s and self.done > 0
            if index is None or index in self._twice or chunk.is_second or not is_late:
                continue
            self._twice.add(index)
            return self._give([index], [self._inputs[index]], now_s, is_exact=True, is_second=True)
        return None

    def second_due_s(self) -> float | None:
        """Return when a straggler may be begun once more, at the earliest."""
        if self._rules.idempotent is not True or self.total is None or not self.done:
            return None
        after_s = max(STRAGGLER_LEAST_S, STRAGGLER * self.size.item_s)
        starts = [
            chunk.since_s
            for chunk in self._chunks.values()
            if not chunk.is_second and next(iter(chunk.items), -1) not in self._twice
        ]
        return min(starts) + after_s if starts else None

    def _give(
        self,
        indices: list[int],
        payloads: list[Payload],
        now_s: float,
        *,
        is_exact: bool,
        is_second: bool = False,
    ) -> Given:
        self._ids += 1
        chunk = Chunk(self._ids, indices, now_s, is_exact=is_exact, is_second=is_second)
        self._chunks[chunk.id] = chunk
        return Given(chunk, indices, payloads)

    # -- what workers say

    def start(self, chunk: Chunk, index: int, now_s: float) -> None:
        """An item has been begun."""
        if index in chunk.items:
            chunk.running = index
            chunk.since_s = now_s

    def finish(self, chunk: Chunk, index: int, payload: Payload, now_s: float) -> None:
        """An item has its result."""
        if self._take_out(chunk, index, now_s):
            self._settle(index, False, payload)

    def fail(
        self, chunk: Chunk, index: int, payload: Payload, now_s: float, *, may_retry: bool = True
    ) -> None:
        """An item has raised, or was ended; `may_retry`: user code raised it."""
        if not self._take_out(chunk, index, now_s):
            return
        retries, tries = self._rules.retries, self._tries.get(index, 0)
        if may_retry and tries < retries.max_retries:
            self._tries[index] = tries + 1
            delay_s = retries.initial_delay_s * retries.backoff_coefficient**tries
            heapq.heappush(self._late, (now_s + min(delay_s, retries.max_delay_s), index))
            return
        self._settle(index, True, payload)

    def give_back(self, chunk: Chunk, indices: Iterable[int]) -> None:
        """A worker has not begun these items and will not."""
        self._requeue([index for index in indices if chunk.items.pop(index, 0) is None])

    def end(self, chunk: Chunk, busy_s: float) -> None:
        """A worker is done with a chunk; what it has said nothing about was not begun."""
        self.size.ran(chunk.done, busy_s)
        self._forget(chunk)
        self._requeue(chunk.items)
        chunk.items = {}

    def refuse(self, chunk: Chunk) -> None:
        """A chunk was not taken: nothing of it has run."""
        self._forget(chunk)
        self._requeue(chunk.items)
        chunk.items = {}

    def die(
        self, chunk: Chunk, payload: Payload, *, is_own: bool = True, is_told: bool = True
    ) -> None:
        """The worker of a chunk has died.

        Args:
            chunk: What it had.
            payload: The error of an item that may not run again.
            is_own: It may have died of what it ran; a node or a gateway that goes away is
                nobody's fault.
            is_told: All that it had reported has come; else any item of the chunk may have begun.
        """
        self._forget(chunk)
        left, chunk.items = list(chunk.items), {}
        left = [index for index in left if index in self._inputs]
        if chunk.is_second:
            left = [index for index in left if not self._is_elsewhere(index)]
        lost = self._suspects.died(chunk, left, is_own=is_own, is_told=is_told)
        for index in lost:
            if index in self._inputs:  # the first of them may have ended the map
                self._settle(index, True, payload)
        self._requeue(index for index in left if index not in lost)

    def _forget(self, chunk: Chunk) -> None:
        self._chunks.pop(chunk.id, None)
        if self._alone is chunk:
            self._alone = None

    def _take_out(self, chunk: Chunk, index: int, now_s: float) -> bool:
        """Take an item out of its chunk; False: it was not there, or has ended elsewhere."""
        if chunk.items.pop(index, 0) is not None:
            return False
        if chunk.running == index:
            chunk.running = None
        chunk.since_s = now_s
        chunk.done += 1
        return index in self._inputs

    def _is_elsewhere(self, index: int) -> bool:
        return any(index in chunk.items for chunk in self._chunks.values())

    def _requeue(self, indices: Iterable[int]) -> None:
        """Back to the head of the queue, in order, unless ended, or begun elsewhere too."""
        twice = self._twice
        for index in sorted(indices, reverse=True):
            if index in self._inputs and not (index in twice and self._is_elsewhere(index)):
                self._queue.appendleft(index)

    # -- outcomes

    def _settle(self, index: int, is_error: bool, payload: Payload) -> None:
        given = self._inputs.pop(index)
        self._input_bytes -= len(given)
        if self._suspects:
            self._suspects.forget(index)
        if self._tries:
            self._tries.pop(index, None)
        if self._fence is not None and index > self._fence:
            return
        self.done += 1
        self.failed += is_error
        self._held[index] = (is_error, payload)
        self._held_bytes += len(payload)
        if is_error and self._rules.stops_at_error:
            self._stop_after(index)

    def _stop_after(self, index: int) -> None:
        """Nothing after this item will be handed out: forget it."""
        self._fence = index
        keep = (lambda other: other < index) if self._rules.is_ordered else (lambda other: False)
        for other in [i for i in self._inputs if not keep(i)]:
            self._input_bytes -= len(self._inputs.pop(other))
        for other in [i for i in self._held if i != index and not keep(i)]:
            self._held_bytes -= len(self._held.pop(other)[1])
        self._queue = deque(i for i in self._queue if i in self._inputs)
        self._late = [entry for entry in self._late if entry[1] in self._inputs]
        heapq.heapify(self._late)

    def useless(self) -> list[Chunk]:
        """Return chunks of which nobody needs anything any more: end them."""
        if self._fence is None and not self._twice:
            return []
        inputs = self._inputs
        running = (c for c in self._chunks.values() if c.items)
        return [c for c in running if not any(i in inputs for i in c.items)]

    def release(self, most: int = 4096, most_bytes: int = MOST_BYTES) -> list[Outcome]:
        """Return what may be handed out now, in order if that is wanted, and forget it."""
        out: list[Outcome] = []
        held, is_ordered, left = self._held, self._rules.is_ordered, most_bytes
        while held and len(out) < most and left > 0:
            index = self._next if is_ordered else next(iter(held))
            found = held.pop(index, None)
            if found is None:
                break
            out.append(Outcome(index, *found))
            left -= len(found[1])
            self._advance(index)
        self._held_bytes -= most_bytes - left
        self.released += len(out)
        return out

    def _advance(self, index: int) -> None:
        """Move the oldest index that is not released."""
        finished = self._finished
        if index != self._next:
            finished.add(index)
            return
        self._next += 1
        while finished and self._next in finished:
            finished.remove(self._next)
            self._next += 1

    @property
    def is_over(self) -> bool:
        """Whether everything that the caller gets has been released."""
        if self._fence is not None:
            return not self._held and not any(index <= self._fence for index in self._inputs)
        return self.total is not None and self.released == self.total
