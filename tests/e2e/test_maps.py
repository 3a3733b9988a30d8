"""Maps over a function's replicas: real processes, real deaths."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import (
    GatewayLost,
    InvalidSpec,
    InvocationTimeout,
    NotSerializable,
    RemoteError,
    ReplicaLost,
)
from jupyter_faas.wire.duplex import Duplex
from tests.e2e import mapped
from tests.e2e.gateway import Gateway, wait_until
from tests.support import children, is_alive, resident_mib

pytestmark = pytest.mark.timeout(300)

# Code that is ended says so in a file: it has the time for that on a busy machine, too.
SETTINGS = {"FAAS_CANCEL_GRACE_S": "5"}


def driver_pid(gateway: Gateway) -> int:
    """Return the pid of the process that runs the maps.

    The kernel may leave out one of the children while another of them ends: it is asked again.
    """

    def driver() -> int:
        for pid in children(gateway.pid):
            with contextlib.suppress(OSError):  # it may just have ended
                if b"driver" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return pid
        return 0

    return wait_until(driver, 1.0, what="there is a driver")


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_a_map_equals_the_plain_map(gateway: Gateway, count: int) -> None:
    assert list(mapped.square.map(range(count))) == [x * x for x in range(count)]


def test_a_hundred_thousand_inputs_come_back_in_order(gateway: Gateway) -> None:
    assert list(mapped.square.map(range(100_000))) == [x * x for x in range(100_000)]


def test_inputs_may_come_from_a_generator_and_several_iterables(gateway: Gateway) -> None:
    assert list(mapped.square.map(x for x in range(50))) == [x * x for x in range(50)]
    assert list(mapped.add.map([1, 2, 3], [10, 20], kwargs={"c": 100})) == [111, 122]
    assert list(mapped.add.starmap([(1, 2), (3, 4, 5)])) == [3, 12]
    mapped.square.for_each(range(10))


def test_endless_inputs_are_read_no_further_than_needed(gateway: Gateway) -> None:
    seen = itertools.count()
    results = mapped.square.map(seen)
    assert list(itertools.islice(results, 20)) == [x * x for x in range(20)]
    results.close()
    assert next(seen) < 500_000


def test_unequal_durations_keep_their_order_or_come_as_they_end(gateway: Gateway) -> None:
    assert list(mapped.uneven.map(range(9))) == list(range(9))
    mixed = list(mapped.uneven.map(range(9), order_outputs=False))
    assert sorted(mixed) == list(range(9))


def test_inputs_and_results_of_fifty_megabytes(gateway: Gateway) -> None:
    body = os.urandom(1 << 20) * 50
    assert list(mapped.echo.map([b"x", body, b"y"])) == [b"x", body, b"y"]
    assert [len(result) for result in mapped.large.map([50, 0, 50])] == [50 << 20, 0, 50 << 20]


def test_a_method_is_mapped_on_one_instance_per_worker(gateway: Gateway) -> None:
    assert list(mapped.Model.predict.map([1, 2, 3])) == [3, 6, 9]  # type: ignore[attr-defined]


def test_replicas_draw_different_numbers(gateway: Gateway) -> None:
    assert len(set(mapped.random_number.map(range(100)))) == 100
    for numbers in zip(*mapped.numbers_by_name.map(range(60)), strict=True):
        assert len(set(numbers)) == 60


def test_threads_and_coroutines_wait_side_by_side(gateway: Gateway) -> None:
    list(mapped.naps.map([0.0] * 16))
    began_s = time.monotonic()
    assert list(mapped.naps.map([1.0] * 16)) == [1.0] * 16
    assert list(mapped.dozes.map([1.0] * 8)) == [1.0] * 8
    assert time.monotonic() - began_s < 20.0, "one after the other it takes 24 s"


def test_what_items_print_arrives(gateway: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(mapped.prints.map(range(5))) == list(range(5))
    shown = capfd.readouterr()
    assert sorted(shown.out.split("\n")) == ["", *(f"item {x}" for x in range(5))]
    assert "oops 3" in shown.err


def test_slow_items_do_not_hold_up_their_neighbours(gateway: Gateway, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    paths = itertools.repeat(str(go_on))
    results = mapped.waits_at_zero.map(paths, range(200), order_outputs=False, chunksize="auto")
    list(mapped.waits_at_zero.map(paths, range(1, 40)))
    first = list(itertools.islice(results, 199))
    assert 0 not in first
    go_on.touch()
    assert next(results) == 0


# -- errors


def test_the_first_error_in_input_order_is_raised_with_its_remote_lines(gateway: Gateway) -> None:
    results = mapped.fails_at.map(range(10), [7] * 10)
    got = []
    with pytest.raises(ValueError, match="item 7") as caught:
        got.extend(results)
    assert "fails_at" in "".join(caught.value.__notes__)
    with pytest.raises(StopIteration):
        next(results)


def test_errors_are_returned_in_their_places(gateway: Gateway) -> None:
    mapping = mapped.fails_at.map(range(5), [2] * 5, return_exceptions=True)
    results = list(mapping)
    assert mapping.progress.failures == [(2, "ValueError: item 2")]
    assert [repr(r) for r in results] == ["0", "1", "ValueError('item 2')", "3", "4"]
    assert "fails_at" in "".join(results[2].__notes__)


def test_an_error_ends_what_runs_behind_it(gateway: Gateway, tmp_path: Path) -> None:
    def inputs() -> Iterator[tuple[Any, ...]]:
        yield (str(tmp_path), "x", "not a number")
        yield (str(tmp_path), 1, 60.0)

    with pytest.raises(TypeError):
        list(mapped.marks.starmap(inputs()))
    wait_until(lambda: _has_stopped(tmp_path / "1"))


def test_items_are_retried_as_the_function_says(gateway: Gateway, tmp_path: Path) -> None:
    results = mapped.at_third.map([str(tmp_path)] * 3, range(3))
    assert list(results) == [0, 1, 2]
    assert {(tmp_path / str(x)).stat().st_size for x in range(3)} == {3}


@pytest.mark.parametrize("how", ["segfault", "exit", "kill"])
def test_only_the_item_that_kills_its_worker_fails(gateway: Gateway, how: str) -> None:
    n = 30
    results = list(mapped.dies_at.map(range(n), [13] * n, [how] * n, return_exceptions=True))
    assert isinstance(results[13], ReplicaLost)
    assert str(results[13]).startswith("Item 13: ")
    assert [r for r in results if not isinstance(r, ReplicaLost)] == [
        x for x in range(n) if x != 13
    ]


def test_what_ran_beside_the_item_that_kills_its_worker_does_not_fail(gateway: Gateway) -> None:
    list(mapped.naps_or_dies_at.map(range(16), [99] * 16))
    results = list(mapped.naps_or_dies_at.map(range(32), [9] * 32, return_exceptions=True))
    assert [at for at, got in enumerate(results) if got != at] == [9]
    assert isinstance(results[9], ReplicaLost)


def test_a_crash_is_told_once_by_where_it_was(
    gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ReplicaLost, match=r"^Item 3: .*SIGSEGV") as caught:
        list(mapped.dies_at.map(range(9), [3] * 9, ["segfault"] * 9))
    [note] = caught.value.__notes__
    assert note.startswith("\nWhere dies-at crashed (item 3):\nTraceback")
    assert note.endswith(", in string_at")
    assert "Fatal Python error" not in "".join(capfd.readouterr())

    def log() -> str:
        return "\n".join(mapped.dies_at.logs())

    wait_until(lambda: "Fatal Python error: Segmentation fault" in log())


def test_an_item_that_fails_is_named(gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="item 2") as caught:
        list(mapped.fails_at.map(range(5), [2] * 5))
    assert "Where fails-at raised it (item 2):" in caught.value.__notes__[0]
    assert {frame.filename for frame in traceback.extract_tb(caught.tb)} == {__file__}
    run = mapped.fails_at.spawn_map(range(5), [4] * 5)
    [(index, error)] = run.failed()
    assert (index, "(item 4):" in error.__notes__[0]) == (4, True)


def test_an_item_that_interrupts_itself_fails_alone(gateway: Gateway) -> None:
    results = list(mapped.interrupts_at.map(range(300), [7] * 300, return_exceptions=True))
    assert isinstance(results[7], RemoteError)
    assert results[:7] + results[8:] == [x for x in range(300) if x != 7]


def test_what_may_not_run_again_runs_once(gateway: Gateway, tmp_path: Path) -> None:
    n = 20
    results = list(
        mapped.dies_once_for_all.map([str(tmp_path)] * n, range(n), return_exceptions=True)
    )
    assert isinstance(results[7], ReplicaLost)
    assert results[:7] + results[8:] == [x for x in range(n) if x != 7]
    assert all((tmp_path / str(x)).read_text() == "begun\n" for x in range(n))


def test_an_item_that_eats_its_memory_fails_alone(gateway: Gateway) -> None:
    results = list(mapped.eats.map(range(6), return_exceptions=True))
    assert isinstance(results[3], ReplicaLost)
    assert results[3].extra["reason"] == "out_of_memory"
    assert results[:3] + results[4:] == [0, 1, 2, 4, 5]


def test_an_item_that_never_ends_is_ended_alone(gateway: Gateway) -> None:
    results = list(mapped.never_ends_at.map(range(6), [3] * 6, return_exceptions=True))
    assert isinstance(results[3], InvocationTimeout)
    assert results[:3] + results[4:] == [0, 1, 2, 4, 5]


def test_a_chunk_may_take_longer_than_one_item(gateway: Gateway) -> None:
    assert list(mapped.never_ends_at.map(range(40), [-1] * 40, chunksize=40)) == list(range(40))


def test_a_result_that_cannot_travel_fails_alone(gateway: Gateway) -> None:
    results = list(mapped.lock_at.map(range(4), [2] * 4, return_exceptions=True))
    assert isinstance(results[2], NotSerializable)
    assert results[:2] + results[3:] == [0, 1, 3]


def test_a_result_that_cannot_be_rebuilt_fails_alone(gateway: Gateway) -> None:
    arguments = range(4), [2] * 4
    results = list(mapped.unreadable_at.map(*arguments, return_exceptions=True))
    assert "Item 2: unreadable-at has run, but its result cannot be rebuilt" in str(results.pop(2))
    assert results == [0, 1, 3]
    stopped = mapped.unreadable_at.map(*arguments)
    assert [next(stopped), next(stopped)] == [0, 1]
    with pytest.raises(RemoteError, match="Item 2"):
        next(stopped)
    run = mapped.unreadable_at.spawn_map(*arguments)
    results = list(run.results(return_exceptions=True))
    assert "Item 2" in str(results.pop(2))
    assert results == [0, 1, 3]


def test_an_item_cannot_end_the_loop_over_the_others(gateway: Gateway) -> None:
    arguments = range(4), [2] * 4
    with pytest.raises(RemoteError, match="Item 2: StopIteration: no more of it"):
        list(mapped.stops_at.map(*arguments))
    with pytest.raises(RemoteError, match="Item 2"):
        list(mapped.stops_at.spawn_map(*arguments).results())
    results = list(mapped.stops_at.map(*arguments, return_exceptions=True))
    assert isinstance(results[2], RemoteError)


def bad_at(count: int, at: int) -> list[Any]:
    """Inputs, one of which cannot be pickled."""
    return [threading.Lock() if n == at else n for n in range(count)]


@pytest.mark.parametrize(("count", "at"), [(3, 1), (1000, 500)])
def test_an_input_that_cannot_travel_fails_alone(gateway: Gateway, count: int, at: int) -> None:
    inputs = bad_at(count, at)
    for each in (inputs, iter(inputs)):
        results = list(mapped.square.map(each, return_exceptions=True))
        error = results.pop(at)
        assert isinstance(error, NotSerializable)
        assert f"Item {at}: argument 1 cannot be sent" in str(error)
        assert results == [n * n for n in range(count) if n != at]
    stopped = mapped.square.map(inputs)
    assert [next(stopped) for _ in range(at)] == [n * n for n in range(at)]
    with pytest.raises(NotSerializable):
        next(stopped)


async def test_an_input_that_cannot_travel_fails_alone_in_the_callers_loop(
    gateway: Gateway,
) -> None:
    mapped_over = mapped.square.map.aio(bad_at(3, 1), return_exceptions=True)
    results = [one async for one in mapped_over]
    assert isinstance(results[1], NotSerializable)
    assert results[::2] == [0, 4]


def test_a_closed_map_gives_nothing_more(gateway: Gateway) -> None:
    with mapped.square.map(range(1000)) as results:
        assert next(results) == 0
    assert list(results) == []


def test_the_last_line_counts_what_has_ended_and_names_what_failed(gateway: Gateway) -> None:
    results = mapped.square.map(itertools.count())
    assert len(list(itertools.islice(results, 10))) == 10
    results.close()
    assert results.progress.state == "cancelled"
    assert results.progress.done >= 10
    failing = mapped.fails_at.map(range(3), [1] * 3, return_exceptions=True)
    assert len(list(failing)) == 3
    assert failing.progress.failed == 1
    assert failing.progress.failures == [(1, "ValueError: item 1")]
    assert "show what failed" in failing._repr_html_()
    stopped = mapped.fails_at.map(range(3), [0] * 3)
    with pytest.raises(ValueError, match="item 0"):
        list(stopped)
    assert "ValueError: item 0" in repr(stopped)


def test_what_the_inputs_raise_comes_after_what_they_gave(gateway: Gateway) -> None:
    def inputs() -> Iterator[int]:
        yield 1
        yield 2
        raise RuntimeError("no more")

    got: list[int] = []
    results = mapped.square.map(inputs())
    with pytest.raises(RuntimeError, match="no more"):
        got.extend(results)
    assert got == [1, 4]
    assert "RuntimeError: no more" in repr(results)
    wait_until(lambda: _last_map(gateway) == BROKEN, seen=lambda: _last_map(gateway))


async def test_so_it_does_in_the_callers_loop(gateway: Gateway) -> None:
    async def inputs() -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("no more")

    results = mapped.square.map.aio(inputs())
    assert await anext(results) == 1
    with pytest.raises(RuntimeError, match="no more"):
        await anext(results)
    await asyncio.to_thread(wait_until, lambda: _last_map(gateway) == BROKEN)


BROKEN = ("square", "failed", "Its inputs broke off: RuntimeError: no more")


def _last_map(gateway: Gateway) -> tuple[str, str, str]:
    """Return what everybody is told of the map that began last."""
    listed = gateway.request("GET", "/v1/maps").json()["maps"]
    last = max(listed, key=lambda one: one["startedAt"])
    return last["function"], last["state"], last["note"]


def test_mistakes_are_told_where_they_are_made(gateway: Gateway) -> None:
    with pytest.raises(InvalidSpec, match="engine"):
        mapped.square.map([1], engine="dask")
    with pytest.raises(InvalidSpec, match="chunksize"):
        mapped.square.map([1], chunksize=0)
    with pytest.raises(InvalidSpec, match="no argument 'order'"):
        mapped.square.map([1], order=True)
    with pytest.raises(TypeError):
        mapped.square.map(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidSpec, match="returns"):
        mapped.yields.map([3])


# -- ends


def _has_stopped(path: Path) -> bool:
    said = path.read_text() if path.exists() else "never"
    return said.strip() not in ("", "begun")


def test_dropping_the_iterator_ends_what_runs(gateway: Gateway, tmp_path: Path) -> None:
    results = mapped.marks.map([str(tmp_path)] * 9, range(9), [60.0] * 9)
    wait_until((tmp_path / "0").exists, 20.0)
    del results
    wait_until(lambda: _has_stopped(tmp_path / "0"))
    wait_until(lambda: all(_has_stopped(path) for path in tmp_path.iterdir()))
    assert not (tmp_path / "8").exists()


def test_an_interrupt_ends_what_runs(gateway: Gateway, tmp_path: Path) -> None:
    results = mapped.marks.map([str(tmp_path)] * 9, range(9), [60.0] * 9)
    wait_until((tmp_path / "0").exists, 20.0)
    main = threading.main_thread().ident
    assert main

    def is_reading() -> bool:
        frame = sys._current_frames()[main]
        return any(at.f_code is Duplex.receive.__code__ for at, _ in traceback.walk_stack(frame))

    def interrupt() -> None:
        wait_until(is_reading, 60.0)
        signal.pthread_kill(main, signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_all(results, interrupting)
    interrupting.join()
    wait_until(lambda: all(_has_stopped(path) for path in tmp_path.iterdir()))


def read_all(results: Iterator[Any], beside: threading.Thread) -> None:
    beside.start()
    list(results)


def test_a_slow_reader_slows_the_map(gateway: Gateway) -> None:
    given = itertools.count()
    results = mapped.echo.map(b"x" * 100_000 for _ in given)
    next(results)
    seen = [0]

    def rests() -> bool:
        at = next(given)
        last, seen[0] = seen[0], at
        return at - last <= 2

    wait_until(rests, 30.0)
    assert seen[0] < 3000, "megabytes are held, not all there is"
    results.close()


async def test_the_asynchronous_twin(gateway: Gateway) -> None:
    assert [y async for y in mapped.square.map.aio(range(300))] == [x * x for x in range(300)]
    assert [y async for y in mapped.add.starmap.aio([(1, 2)])] == [3]
    await mapped.square.for_each.aio([1, 2])
    with pytest.raises(ValueError, match="item 2"):
        _ = [y async for y in mapped.fails_at.map.aio(range(5), [2] * 5)]

    async def inputs() -> AsyncIterator[int]:
        for x in range(5):
            await asyncio.sleep(0)
            yield x

    async def pairs() -> AsyncIterator[tuple[int, int]]:
        async for x in inputs():
            yield x, x

    assert [y async for y in mapped.square.map.aio(inputs())] == [0, 1, 4, 9, 16]
    assert [y async for y in mapped.add.starmap.aio(pairs())] == [0, 2, 4, 6, 8]
    assert list((await mapped.square.spawn_map.aio(inputs())).results()) == [0, 1, 4, 9, 16]
    with pytest.raises(InvalidSpec, match=r"let it yield tuples of arguments, for `starmap\.aio`"):
        _ = [y async for y in mapped.add.map.aio(inputs(), range(5))]
    async with mapped.square.map.aio(itertools.count()) as endless:
        assert [await anext(endless) for _ in range(3)] == [0, 1, 4]


# -- several


def test_a_map_inside_a_mapped_function(gateway: Gateway) -> None:
    mapped.inner.deploy()
    assert list(mapped.outer.map([3, 4])) == [6, 10]


def test_two_maps_at_once_both_go_on(gateway: Gateway) -> None:
    # Neither ends: the one that had to wait for the other would wait for ever.
    first, second = (mapped.uneven.map(itertools.count()) for _ in range(2))
    with first, second:
        for x in range(30):
            assert (next(first), next(second)) == (x, x)


def test_maps_are_listed_and_cancelled_by_id(gateway: Gateway, tmp_path: Path) -> None:
    results = mapped.marks.map([str(tmp_path)] * 4, range(4), [60.0] * 4)
    wait_until((tmp_path / "0").exists, 20.0)

    def running() -> list[dict[str, Any]]:
        maps = gateway.request("GET", "/v1/maps").json()["maps"]
        return [m for m in maps if m["state"] == "running"]

    # Maps of earlier tests that were left may still be ending.
    (listed,) = wait_until(lambda: len(maps := running()) == 1 and maps, seen=running)
    assert listed["function"] == "marks"
    answer = gateway.request("DELETE", f"/v1/maps/{listed['id']}")
    assert answer.json()["state"] == "cancelled"
    with pytest.raises(Exception, match="cancelled"):
        list(results)
    assert gateway.request("GET", "/v1/maps/map-none").status == 404


def test_items_are_counted_beside_the_calls_that_carry_them(gateway: Gateway) -> None:
    def counts() -> dict[str, float]:
        return dict(gateway.request("GET", "/v1/functions/add").json()["counts"])

    mapped.add.deploy()
    before = counts()
    assert list(mapped.add.map(range(500), range(500))) == [2 * n for n in range(500)]
    wait_until(lambda: counts()["items"] == before["items"] + 500, seen=counts)
    assert 0 < counts()["accepted"] - before["accepted"] <= 500
    used = "memoryMebibyteSeconds"
    wait_until(lambda: counts()[used] > before[used], seen=counts)


def test_without_ray_the_replicas_run_a_map_that_asked_for_it_and_a_sentence_says_why(
    gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    why = "Ray is not installed where the function runs"

    def said(**options: Any) -> str:
        results = mapped.square.map(range(50), engine="ray", **options)
        assert list(results) == [x * x for x in range(50)]
        return capfd.readouterr().err

    session.told.clear()
    wait_until(lambda: why in said(), 20.0)
    assert why not in said(), "once is enough"
    session.told.clear()
    assert said(progress=False) == ""


# -- kills


@pytest.mark.parametrize("seed", range(5))
def test_workers_killed_at_random_cost_no_item(gateway: Gateway, seed: int) -> None:
    chance = random.Random(seed)
    n = 60
    results = mapped.uneven.map(range(n))
    got = []
    for result in results:
        got.append(result)
        if chance.random() < 0.08:
            replicas = gateway.replicas("uneven")
            victims = [r["pid"] for r in replicas if r.get("pid")]
            for victim in victims[:1]:
                for worker in [victim, *children(victim)][-1:]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
    assert got == list(range(n))


@pytest.mark.parametrize("who", ["driver", "gateway"])
def test_a_map_whose_gateway_goes_away_goes_on_with_what_is_left(
    gateway: Gateway, tmp_path: Path, capfd: pytest.CaptureFixture[str], who: str
) -> None:
    go_on = tmp_path / "go on"
    session.told.clear()  # the same words are said once
    results = mapped.waits_after_zero.map(itertools.repeat(str(go_on)), iter(range(30)))
    got = [next(results)]
    lose(gateway, who)
    go_on.touch()
    got.extend(results)
    assert got == list(range(30))
    told = "waits-after-zero.map goes on: the gateway went away when"
    assert told in capfd.readouterr().err


async def test_so_does_its_asynchronous_twin(gateway: Gateway) -> None:
    async def inputs() -> AsyncIterator[int]:
        for x in range(20):
            await asyncio.sleep(0.02)
            yield x

    results = mapped.tenth.map.aio(inputs())
    got = [await anext(results)]
    lose(gateway, "driver")
    got.extend([y async for y in results])
    assert got == list(range(20))
    counted = mapped.tenth.map.aio(range(20), order_outputs=False)
    got = [await anext(counted)]
    await asyncio.to_thread(lose, gateway, "gateway")
    got.extend([y async for y in counted])
    assert sorted(got) == list(range(20))


def test_endless_inputs_go_on_too_and_results_that_stay_there(
    gateway: Gateway, tmp_path: Path
) -> None:
    results = mapped.tenth.map(itertools.count())
    got = [next(results)]
    lose(gateway, "driver")
    got.extend(itertools.islice(results, 9))
    results.close()
    assert got == list(range(10))

    n = 40
    killer = threading.Thread(
        target=lambda: (
            wait_until(lambda: len(list(tmp_path.iterdir())) > 24, 60.0),
            lose(gateway, "driver"),
        )
    )
    killer.start()
    mapped.marks.for_each([str(tmp_path)] * n, range(n), [0.1] * n)
    killer.join()
    begins = [(tmp_path / str(x)).read_text().count("begun") for x in range(n)]
    assert max(begins) <= 2
    assert begins[0] == 1, "what is done does not run again"


def test_what_may_run_once_is_told_and_not_begun_again(gateway: Gateway, tmp_path: Path) -> None:
    n = 8
    marks, go_on = tmp_path / "marks", tmp_path / "go on"
    marks.mkdir()
    results = mapped.marks_once.map([str(marks)] * n, range(n), [str(go_on)] * n)
    assert next(results) == 0
    lose(gateway, "driver")
    go_on.touch()
    with pytest.raises(GatewayLost, match="idempotent=False forbids"):
        list(results)
    # One that was ended as it opened its file has left an empty one.
    assert {path.read_text() for path in marks.iterdir()} <= {"", "begun\n"}
    assert list(mapped.square.map([5])) == [25]


def test_a_map_that_is_closed_while_it_is_read_does_not_begin_again(gateway: Gateway) -> None:
    results = mapped.naps.map([60.0, 60.0])
    threading.Timer(0.3, results.close).start()
    # It hears of the cut, or sees that it is over.
    with pytest.raises((GatewayLost, StopIteration)):
        next(results)
    wait_until(lambda: "running" not in states_of("naps"), seen=lambda: states_of("naps"))


def states_of(function: str) -> list[str]:
    maps = faas.gateway().state()["maps"]
    return [one["state"] for one in maps if one["function"] == function]


def lose(gateway: Gateway, who: str) -> None:
    """kill -9 the driver, or the gateway, which takes the driver along."""
    if who == "driver":
        os.kill(driver_pid(gateway), signal.SIGKILL)
    else:
        gateway.kill()


def test_memory_of_the_driver_stays_flat(gateway: Gateway) -> None:
    list(mapped.echo.map(b"x" * 100 for _ in range(20_000)))
    before = resident_mib(driver_pid(gateway))
    count = sum(1 for _ in mapped.echo.map(b"x" * 100 for _ in range(100_000)))
    assert count == 100_000
    assert resident_mib(driver_pid(gateway)) - before < 60


def test_a_killed_gateway_takes_the_driver_along(gateway: Gateway) -> None:
    list(mapped.square.map([1]))
    driver = driver_pid(gateway)
    gateway.kill()
    wait_until(lambda: not is_alive(driver))  # who inherits it may leave it a zombie
    gateway.start()
    assert list(mapped.square.map([2])) == [4]
