"""`spawn_map`: maps that outlast kernels, drivers and gateways."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas import MapRun
from jupyter_faas.core.errors import (
    BadRequest,
    ExecutionError,
    InvocationCancelled,
    InvocationNotFound,
    NotSerializable,
)
from tests.e2e import mapped
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.test_maps import driver_pid

pytestmark = pytest.mark.timeout(300)

SETTINGS = {"FAAS_CANCEL_GRACE_S": "0.1"}


def test_its_results_are_there_in_order_and_from_any_point(gateway: Gateway) -> None:
    run = mapped.square.spawn_map(range(300))
    assert list(run.results()) == [x * x for x in range(300)]
    assert list(run.results(295)) == [x * x for x in range(295, 300)]
    assert run.status == "done"
    assert run.failed() == []
    assert "300" in repr(run.progress())
    assert list(MapRun.from_id(run.id).results(299)) == [299 * 299]


def test_no_inputs_and_large_ones(gateway: Gateway) -> None:
    assert list(mapped.square.spawn_map([]).results()) == []
    body = os.urandom(1 << 20) * 20
    assert list(mapped.echo.spawn_map(iter([body, b"x"])).results()) == [body, b"x"]


def test_another_process_finds_it_after_its_caller_has_gone(gateway: Gateway) -> None:
    mapped.tenth.deploy()
    source = """
        import jupyter_faas as faas
        print(faas.function("tenth").spawn_map(range(20)).id)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    run = MapRun.from_id(done.stdout.strip())
    assert list(run.results()) == list(range(20))


def test_what_its_items_print_is_kept_and_shown_to_whoever_reads(
    gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    run = mapped.prints.spawn_map(range(3))
    lines = [f"{word} {n}" for word in ("item", "oops") for n in range(3)]
    assert sorted(run.logs(follow=True)) == lines
    assert capfd.readouterr().out == ""
    again = MapRun.from_id(run.id)
    assert list(again.results()) == [0, 1, 2]
    assert sorted(capfd.readouterr().out.splitlines()) == ["item 0", "item 1", "item 2"]
    assert list(again.results(2)) == [2]
    assert capfd.readouterr().out == "item 2\n"
    assert sorted(again.logs()) == lines
    assert again.failed() == []
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("who", ["driver", "gateway"])
def test_killed_in_the_middle_it_goes_on_from_what_is_done(gateway: Gateway, who: str) -> None:
    run = mapped.tenth.spawn_map(range(60))
    results = run.results()
    assert next(results) == 0
    if who == "driver":
        os.kill(driver_pid(gateway), signal.SIGKILL)
    else:
        gateway.kill()
        gateway.start()
    assert list(MapRun.from_id(run.id).results()) == list(range(60))


@pytest.mark.parametrize("who", ["driver", "gateway"])
def test_killed_when_it_has_just_ended_all_its_items_count(gateway: Gateway, who: str) -> None:
    mapped.square.deploy()
    before = gateway.items(mapped.square.name)
    for times in range(1, 4):
        assert len(list(mapped.square.spawn_map(range(50)).results())) == 50
        if who == "driver":
            os.kill(driver_pid(gateway), signal.SIGKILL)
        else:
            gateway.kill()
        wait_until(
            lambda times=times: gateway.items(mapped.square.name) == before + 50 * times, 60.0
        )  # type: ignore[misc]


def test_an_item_that_is_retried_counts_once(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "there"
    mapped.once_there.deploy()
    before = gateway.items(mapped.once_there.name)
    run = mapped.once_there.spawn_map([str(path)] * 3, range(3))
    assert len(run.failed()) == 3
    path.touch()
    run.retry_failed()
    assert list(run.results()) == [0, 1, 2]
    wait_until(lambda: gateway.items(mapped.once_there.name) == before + 3)


@pytest.mark.parametrize("who", ["driver", "gateway"])
def test_what_may_run_once_is_told_lost_and_does_not_run_again(
    gateway: Gateway, tmp_path: Path, who: str
) -> None:
    n = 8
    marks, go_on = tmp_path / "marks", tmp_path / "go on"
    marks.mkdir()
    run = mapped.marks_once.spawn_map([str(marks)] * n, range(n), [str(go_on)] * n)
    # The second one has begun and waits; where there is room, a third one does.
    wait_until((marks / "1").exists, 60.0, seen=lambda: gateway.replicas("marks-once"))
    if who == "driver":
        os.kill(driver_pid(gateway), signal.SIGKILL)
    else:
        gateway.kill()
        gateway.start()
    go_on.touch()
    results = list(MapRun.from_id(run.id).results(return_exceptions=True))
    lost = [x for x, result in enumerate(results) if isinstance(result, ExecutionError)]
    assert 1 <= len(lost) <= 3
    assert [r for x, r in enumerate(results) if x not in lost] == [
        x for x in range(n) if x not in lost
    ]
    begins = {path.name: path.read_text() for path in marks.iterdir()}
    # One that was ended as it opened its file has left an empty one.
    assert set(begins.values()) <= {"", "begun\n"}
    assert begins.keys() >= {str(x) for x in range(n) if x not in lost}


def test_failed_items_are_told_and_run_again(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "there"
    run = mapped.once_there.spawn_map([str(path)] * 3, range(3))
    failed = run.failed()
    assert [(index, str(error)) for index, error in failed] == [
        (n, f"no file for {n}") for n in range(3)
    ]
    with pytest.raises(ValueError, match="no file for 0"):
        list(run.results())
    assert len(list(run.results(return_exceptions=True))) == 3
    ended = run.progress()
    assert ended.failures[0] == (0, "ValueError: no file for 0")
    assert f"run.retry_failed()</code> of run {run.id}" in ended._repr_html_()
    path.touch()
    run.retry_failed()
    assert list(run.results()) == [0, 1, 2]
    assert run.failed() == []


def test_cancelled_it_keeps_what_is_done_and_can_go_on(gateway: Gateway, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    run = mapped.waits_after_zero.spawn_map([str(go_on)] * 100, range(100))
    with pytest.raises(BadRequest):
        run.retry_failed()
    assert next(run.results()) == 0
    run.cancel()
    wait_until(lambda: run.status == "cancelled")
    got: list[int] = []
    with pytest.raises(InvocationCancelled, match=r"cancelled when \d+ of 100 items had ended"):
        got.extend(run.results())  # what is done, and then why there is no more
    go_on.touch()
    run.retry_failed()
    assert list(run.results()) == list(range(100))


def test_inputs_that_cannot_travel_keep_nothing(gateway: Gateway) -> None:
    with pytest.raises(NotSerializable):
        mapped.square.spawn_map([threading.Lock()])

    def inputs() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        mapped.square.spawn_map(inputs())

    def told() -> list[tuple[str, str]]:
        """What the panel hears of maps of this function."""
        listed = gateway.request("GET", "/v1/state").json()["maps"]
        return [(row["state"], row["note"]) for row in listed if row["function"] == "square"]

    broken = ("failed", "Its inputs broke off: RuntimeError: no more")
    wait_until(
        lambda: broken in (seen := told()) and all(state != "running" for state, _ in seen),
        seen=told,
    )
    with pytest.raises(InvocationNotFound):
        MapRun.from_id("map-none")


async def test_its_asynchronous_twin(gateway: Gateway) -> None:
    run = await mapped.square.spawn_map.aio([1, 2])
    assert list(run.results()) == [1, 4]


def test_a_reader_that_leaves_does_not_end_it(gateway: Gateway) -> None:
    run = mapped.tenth.spawn_map(range(20))
    results = run.results()
    assert next(results) == 0
    del results
    wait_until(lambda: run.status == "done", 30.0)


def test_maps_are_told_in_the_state_and_as_events(gateway: Gateway, tmp_path: Path) -> None:
    go_on, name = tmp_path / "go on", mapped.waits_after_zero.name
    seq = gateway.request("GET", "/v1/state").json()["seq"]
    run = mapped.waits_after_zero.spawn_map([str(go_on)] * 100, range(100))
    snapshot = gateway.request("GET", "/v1/state").json()["maps"]
    (mine,) = [one for one in snapshot if one["id"] == run.id]
    assert (mine["function"], mine["state"], mine["total"]) == (name, "running", 100)
    go_on.touch()
    assert list(run.results()) == list(range(100))

    def last() -> dict[str, Any]:
        return next(
            m for m in gateway.request("GET", "/v1/state").json()["maps"] if m["id"] == run.id
        )

    wait_until(lambda: last()["state"] == "done", seen=last)
    told = map_events(gateway, seq, name, run.id)
    assert told[-1]["state"] == "done"
    assert told[-1]["done"] == 100
    assert faas.gateway().maps()


def map_events(gateway: Gateway, seq: int, name: str, id: str) -> list[dict[str, Any]]:
    """Return what the stream says of a map, up to its end."""
    connection = gateway.connect()
    headers = {"Authorization": f"Bearer {gateway.token}"}
    connection.request("GET", f"/v1/events?since={seq}&functions={name}", headers=headers)
    answer = connection.getresponse()
    told = []
    kind = ""
    for raw in answer:
        line = raw.decode().strip()
        if line.startswith("event:"):
            kind = line.partition(":")[2].strip()
        elif line.startswith("data:") and kind == "map":
            event = json.loads(line.partition(":")[2])
            if event["id"] == id:
                told.append(event["value"])
                if told[-1]["state"] != "running":
                    break
    connection.close()
    return told
