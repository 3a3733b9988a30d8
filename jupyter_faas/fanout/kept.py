"""A map that outlasts its caller: inputs and outcomes are files, and it goes on from what is done.

    {maps}/{id}/order      what is mapped (JSON)
    {maps}/{id}/inputs     ledger; complete once `whole` is there
    {maps}/{id}/outcomes   ledger
    {maps}/{id}/begun      ledger of what may run once only: these items may have begun
    {maps}/{id}/prints     what its items have printed, up to a bound
    {maps}/{id}/whole      number of inputs: from here on the map is the driver's to finish
    {maps}/{id}/ended      how it ended (JSON); gone again while failed items are retried

A `Run` does the work, as for any map; this gives it inputs as it wants them and writes down what
comes out. Killed at any moment, the next driver goes on: what is in `outcomes` does not run again.
Where there are several gateways, a service has the same files for all of them (`mirror.py`).
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.batch import DONE, RAISED
from jupyter_faas.core.errors import BadRequest, FaasError
from jupyter_faas.core.mapping import MapOrder, MapState, MapTally
from jupyter_faas.core.sections import Buffer
from jupyter_faas.execution.failure import Fault
from jupyter_faas.fanout import kept_files
from jupyter_faas.fanout.booked import Begun, Booked
from jupyter_faas.fanout.kept_feed import Feed
from jupyter_faas.fanout.ledger import GONE, Ledger
from jupyter_faas.fanout.mirror import File, Mirror
from jupyter_faas.fanout.prints import Prints
from jupyter_faas.fanout.run import Run
from jupyter_faas.wire.frames import HEADER, FrameKind

_HOLD_S = 3600.0
_log = logging.getLogger(__name__)

Begin = Callable[[MapOrder, str], Run]


class KeptMap:
    """One map on disk. It is the sink of its run.

    Args:
        root: Its directory; made if `order` is new.
        order: What is mapped; None: what the directory says.
        begin: Begins a run.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        root: Path,
        order: MapOrder | None,
        begin: Begin,
        wall_clock: Callable[[], float],
    ) -> None:
        self.id = root.name
        self.root = root
        if order is not None:
            root.mkdir(mode=0o700, parents=True)
            kept_files.write(root / "order", msgspec.json.encode(order))
        self.order = order or msgspec.json.decode((root / "order").read_bytes(), type=MapOrder)
        self._begin = begin
        self._wall_clock = wall_clock
        self._inputs = Ledger(root / "inputs")
        self.outcomes = Ledger(root / "outcomes")
        self.prints = Prints(root / "prints")
        is_once = self.order.of is not None and self.order.of.idempotent is False
        self.begun = Begun(root / "begun") if is_once else None
        self.total = kept_files.read_number(root / "whole")
        self.ended = kept_files.read_ended(root / "ended")
        self.started_at = (root / "order").stat().st_mtime
        self.on_news: set[Callable[[], None]] = set()
        """Called when there are more outcomes or prints, it has ended, or it is let go."""
        self.is_let_go = False
        """It goes on elsewhere: whoever reads asks again."""
        self.mirror: Mirror | None = None
        """Keeps it where the next driver finds it; None: the next one finds these files."""
        self.run: Run | None = None
        self._before = (0, 0)  # items and failed ones that others have counted
        self.is_end_written = self.ended is not None
        """The next driver knows that it has ended."""
        self._is_end_told = False
        self._reason = ""
        self._is_stuck = False
        self._booked: Booked | None = None
        self._feed = Feed(self._inputs, self.outcomes, self.begun, self._tell)

    # -- its life

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and nothing is being retried."""
        return self.ended is not None

    @property
    def is_due(self) -> bool:
        """Whether the service does not know all that is here."""
        return self.mirror is not None and self.mirror.is_due and not self.mirror.is_lost

    @property
    def files(self) -> tuple[File, ...]:
        """What it was given, what came of it, what that has printed, and perhaps what has begun."""
        files: tuple[File, ...] = (self._inputs, self.outcomes, self.prints)
        return files if self.begun is None else (*files, self.begun)

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._wall_clock()

    def start(self) -> None:
        """Go on from what is done."""
        self._feed.rewind()
        run = self.run = self._begin(self.order, self.id)
        run.sink = self
        run.on_room = self.feed
        if self.begun is not None:
            self._booked = run.backend = Booked(run.backend, self.begun, self._settle_begun)
        self.feed()

    def add(self, payloads: list[Buffer]) -> None:
        """Take more inputs in."""
        first = len(self._inputs)
        self._inputs.extend((first + at, DONE, body) for at, body in enumerate(payloads))
        self._changed()
        self.feed()

    def close_inputs(self) -> None:
        """All inputs are here: from now on it needs nobody.

        Raises:
            OSError: The disk is full or gone: it must not be told that the map is kept.
        """
        total = len(self._inputs)
        self._inputs.sync()
        kept_files.write(self.root / "whole", b"%d" % total)
        self.total = total
        self._changed()
        self.feed()

    def feed(self) -> None:
        """Give the run what it wants of the inputs."""
        if self.run is not None:
            self._feed.give(self.run, self.total)

    def cancel(self) -> None:
        """End it; what is done stays."""
        if not self.is_over:
            self._note_end("cancelled")
            if self.run is not None:
                self.run.cancel()

    def write_end(self) -> None:
        """Have on disk how it has ended, if that is not so; a full disk: it is to be tried again.

        A driver that ends before leaves the map to the next one, which goes on with it.
        """
        if self.ended is None or self.is_end_written:
            return
        try:
            self.outcomes.sync()
            kept_files.write(self.root / "ended", msgspec.json.encode(self.ended))
            self.is_end_written = True
        except OSError as error:
            if not self._is_end_told:
                _log.warning("that %s has ended cannot be written down: %s", self.id, error)
            self._is_end_told = True

    def let_go(self) -> None:
        """Stop, and leave the rest to the next driver."""
        self.stop()
        if self.mirror is not None:
            self.mirror.stop()
        self.is_let_go = True
        for on_news in tuple(self.on_news):
            on_news()
        self.close()

    def stop(self) -> None:
        """Run nothing more of it."""
        run, self.run = self.run, None
        if run is not None:
            run.sink = None
            run.cancel()
        if self._booked is not None:
            self._booked.stop()

    def break_off(self, error: FaasError) -> None:
        """Its inputs have not all come: it has failed, and is no kept map."""
        if self.run is not None:
            self.run.sink = None
            self.run.fail(error)

    def hold_back(self) -> bool:
        """Begin no more items; False: none is under way."""
        if self.run is None or self.run.is_over:
            return False
        self.run.wait(_HOLD_S)
        return self.run.in_flight > 0

    def retry_failed(self) -> int:
        """Run the failed items again; return how many.

        Raises:
            BadRequest: It has not ended yet.
        """
        if not self.is_over:
            raise BadRequest("The map is still running: retry what failed when it has ended.")
        failed = list(self.outcomes.of_kind(RAISED))
        lost = self.ended is not None and self.ended.state != "done"
        if not failed and not lost:
            return 0
        self.outcomes.extend((index, GONE, b"") for index in failed)
        if self.begun is not None:
            self.begun.forget()
        (self.root / "ended").unlink(missing_ok=True)
        self.ended, self.is_end_written = None, False
        self._is_stuck, self._reason = False, ""
        self._changed()
        self.start()
        return len(failed)

    def discard(self) -> None:
        """Forget it, with its files."""
        self.let_go()
        shutil.rmtree(self.root, ignore_errors=True)

    def close(self) -> None:
        """Close its files."""
        for file in self.files:
            file.close()

    def status(self) -> MapState:
        """Return how it goes."""
        if self.run is not None and not self.run.is_over:
            state = self.run.status()
        else:
            state = MapState(
                id=self.id,
                function=self.order.function,
                namespace=self.order.namespace,
                revision=self.order.revision or 0,
                state="running" if self.ended is None else self.ended.state,
                note="" if self.ended is None else self.ended.reason,
            )
        return msgspec.structs.replace(
            state,
            total=self.total if self.total is not None else self.order.total,
            given=len(self._inputs),
            done=self.outcomes.count,
            failed=self.outcomes.number(RAISED),
            started_at=self.started_at,
            ended_at=0.0 if self.ended is None else self.ended.at,
            is_kept=True,
        )

    def leave_out(self) -> None:
        """What has ended so far was counted by others: tell so with each tally."""
        self._before = self._ever()

    def tally(self) -> MapTally:
        """Return what is to be counted of it."""
        items, failed = self._ever()
        turn = 0 if self.mirror is None else self.mirror.turn
        return MapTally(
            key=f"{self.id}@{turn}" if turn else self.id,
            function=self.order.function,
            namespace=self.order.namespace,
            items=items,
            failed=failed,
            items_before=self._before[0],
            failed_before=self._before[1],
            is_over=self.is_over,
        )

    def _ever(self) -> tuple[int, int]:
        return self.outcomes.ever(DONE, RAISED), self.outcomes.ever(RAISED)

    # -- what the run says

    @property
    def is_writable(self) -> bool:
        """A file takes everything, while there is room on the disk."""
        return not self._is_stuck

    def write(self, parts: list[Buffer]) -> None:
        """Write outcomes and prints down; other frames are for callers that listen."""
        kind = HEADER.unpack_from(parts[0])[0]
        if kind == FrameKind.ERROR:
            fault = msgspec.msgpack.decode(b"".join(parts[1:]), type=Fault)
            self._reason = str(fault.problem.get("detail", ""))
        try:
            if kind == FrameKind.LOG and not self.prints.is_full:
                self.prints.add(parts)
                self._tell()
            if kind == FrameKind.ITEM:
                head, payloads = batch.unpack(b"".join(parts[1:]))
                self.outcomes.extend(zip(head.indices, head.kinds, payloads, strict=True))
                self._tell()
        except OSError as error:
            # The run is in the middle of handing out: it is ended when it is done with that.
            self._is_stuck = True
            self._reason = f"Its results cannot be kept: {error.strerror or error}."
            asyncio.get_running_loop().call_soon(self._get_stuck)

    def finish(self) -> None:
        """The run has ended by itself."""
        self.run = None
        is_complete = self.total is not None and self.outcomes.count == self.total
        self._note_end("done" if is_complete else "failed")

    def _get_stuck(self) -> None:
        self.stop()
        self._note_end("failed")

    def _note_end(self, state: str) -> None:
        if self.ended is None:
            self.ended = kept_files.Ended(state, self._wall_clock(), self._reason)
            self.is_end_written = False
            self.write_end()
        self._tell()

    def _changed(self) -> None:
        if self.mirror is not None:
            self.mirror.poke()

    def _tell(self) -> None:
        self._changed()
        for on_news in tuple(self.on_news):
            on_news()

    async def _settle_begun(self) -> bool:
        """Wait until what has begun is durable; False: the map is another driver's now."""
        assert self.begun is not None
        if self.mirror is not None:
            return await self.mirror.has(len(self.files) - 1, self.begun.size)
        await asyncio.to_thread(self.begun.sync)
        return True
