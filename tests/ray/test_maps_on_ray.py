"""Maps on a real Ray: equal to `list(map(f, xs))`, whatever becomes of an item or a process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until
from tests.ray.conftest import command_of, is_on_ray
from tests.support import descendants, is_alive

SETTINGS = {"FAAS_RAY_WARM": "1"}


@serverless(name="ray-square")
def square(x: int) -> int:
    return x * x


@serverless(name="ray-draw")
def draw(_: int) -> float:
    import numpy

    return float(numpy.random.rand())


@serverless(name="ray-odd", timeout=6)
def odd(what: str) -> Any:
    import os
    import signal
    import threading
    import time

    if what == "raises":
        raise ValueError(what)
    if what == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "hangs":
        time.sleep(60)
    if what == "lock":
        return threading.Lock()
    if what == "prints":
        print("an item says something")
    return what, os.environ["FAAS_REPLICA"]


@serverless(name="ray-says")
def say(number: int) -> str:
    import os

    print(f"item {number} says so")
    return os.environ["FAAS_REPLICA"]


@serverless(name="ray-crashing")
def crash(_: int) -> None:
    import ctypes

    ctypes.string_at(0)


@serverless(name="ray-napping")
def nap(seconds: float) -> str:
    import os
    import time

    time.sleep(seconds)
    return os.environ["FAAS_REPLICA"]


def processes(gateway: Gateway, mark: str) -> list[int]:
    """Return the gateway's descendants whose command line holds `mark`."""
    return [pid for pid in descendants(gateway.pid) if mark in command_of(pid)]


def test_what_runs_on_ray_is_metered_as_calls_are(ray: Gateway) -> None:
    def counts() -> dict[str, float]:
        return dict(ray.request("GET", "/v1/functions/ray-napping").json()["counts"])

    nap.deploy()
    before = counts()
    began_s = time.monotonic()
    assert all(map(is_on_ray, nap.map([0.25] * 8, engine="ray")))
    took_s = time.monotonic() - began_s
    wait_until(lambda: counts()["items"] == before["items"] + 8, 20.0, seen=counts)
    used = counts()["memoryMebibyteSeconds"] - before["memoryMebibyteSeconds"]
    assert 8 * 0.25 * 512 <= used <= 8 * took_s * 512
    assert counts()["accepted"] == before["accepted"], "no call of the gateway has run them"


def test_what_items_print_on_ray_is_in_the_functions_log(ray: Gateway) -> None:
    assert all(map(is_on_ray, say.map(range(20), engine="ray")))
    lines = [f"item {number} says so" for number in range(20)]
    wait_until(lambda: sorted(say.logs()) == sorted(lines), 20.0, seen=say.logs)


def test_the_dump_of_a_crash_on_ray_is_in_the_functions_log_and_not_in_the_cell(
    ray: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    (error,) = crash.map([1], engine="ray", return_exceptions=True)
    assert isinstance(error, faas.ReplicaLost)
    dump = "Fatal Python error: Segmentation fault"
    wait_until(lambda: dump in "\n".join(crash.logs()), 20.0, seen=crash.logs)
    assert dump not in "".join(capsys.readouterr())


def test_results_are_those_of_the_plain_map_in_order(ray: Gateway) -> None:
    for count in (0, 1, 2, 1000):
        assert list(square.map(range(count), engine="ray")) == [x * x for x in range(count)]
    durations = [0.2, 0.0, 0.1, 0.0, 0.05]
    assert all(is_on_ray(one) for one in nap.map(durations, engine="ray"))


@pytest.mark.parametrize("engine", ["ray", "replicas"])
def test_a_hundred_draws_are_a_hundred_numbers(ray: Gateway, engine: str) -> None:
    assert len(set(draw.map(range(100), engine=engine))) == 100


def test_only_the_item_fails_that_is_at_fault(
    ray: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    whats = ["a", "raises", "b", "dies", "c", "hangs", "d", "lock", "prints"]
    got = list(odd.map(whats, engine="ray", return_exceptions=True))
    assert [one[0] if isinstance(one, tuple) else type(one) for one in got] == [
        "a",
        ValueError,
        "b",
        faas.ReplicaLost,
        "c",
        faas.InvocationTimeout,
        "d",
        faas.NotSerializable,
        "prints",
    ]
    assert all(is_on_ray(one[1]) for one in got if isinstance(one, tuple))
    assert "an item says something" in capsys.readouterr().out


@serverless(name="ray-meeting", max_containers=2, memory=1024, timeout=60)
def meet(large: bytes, directory: str) -> int:
    """Return when another item runs at the same time."""
    import os
    import time

    open(os.path.join(directory, str(os.getpid())), "x").close()
    while len(os.listdir(directory)) < 2:
        time.sleep(0.01)
    return len(large)


@pytest.mark.parametrize("engine", ["ray", "replicas"])
def test_large_inputs_are_at_work_at_the_same_time(
    ray: Gateway, tmp_path: Path, engine: str
) -> None:
    meet.deploy()
    large = bytes(40 << 20)
    assert list(meet.map([large] * 2, [str(tmp_path)] * 2, engine=engine)) == [len(large)] * 2


def test_the_first_error_ends_the_map(ray: Gateway) -> None:
    with pytest.raises(ValueError, match="raises"):
        list(odd.map(["a", "raises", *["hangs"] * 4], engine="ray"))


def test_leaving_a_map_ends_what_runs(ray: Gateway) -> None:
    began = time.monotonic()
    results = nap.map([0.0, 30.0, 30.0], engine="ray")
    assert is_on_ray(next(results))
    results.close()
    assert is_on_ray(next(iter(nap.map([0.0], engine="ray"))))
    assert time.monotonic() - began < 25


def test_a_seat_that_is_killed_loses_no_item(ray: Gateway) -> None:
    results = nap.map([0.02] * 300, engine="ray")
    first = [next(results) for _ in range(5)]
    victims = processes(ray, "ray::Seat")
    assert victims, [command_of(pid) for pid in descendants(ray.pid)]
    os.kill(victims[0], signal.SIGKILL)
    rest = list(results)
    assert len(first) + len(rest) == 300


def test_a_map_after_one_that_was_left_has_its_seats_and_replicas(ray: Gateway) -> None:
    places = set(nap.map([0.1] * 12, engine="ray"))
    left = nap.map([0.0, *[30.0] * 6], engine="ray")
    assert next(left) in places
    left.close()
    assert set(nap.map([0.1] * 12, engine="ray")) <= places


def test_two_maps_share_the_seats(ray: Gateway) -> None:
    one = square.map(range(500), engine="ray")
    two = nap.map([0.001] * 100, engine="ray")
    assert list(one) == [x * x for x in range(500)]
    assert len(list(two)) == 100


def test_nothing_of_ray_outlives_a_gateway_that_is_killed(ray: Gateway) -> None:
    began = set(descendants(ray.pid))
    marks = ("ray::", "raylet", "gcs_server", "jupyter_faas")
    ours = [pid for pid in began if any(mark in command_of(pid) for mark in marks)]
    assert len(ours) > 5
    ray.kill()
    wait_until(
        lambda: not [pid for pid in ours if is_alive(pid)],
        30.0,
        seen=lambda: [command_of(pid) for pid in ours if is_alive(pid)],
    )
    ray.start()


@serverless(name="ray-inner", max_containers=2)
def add_one(x: int) -> int:
    return x + 1


@serverless(name="ray-outer", max_containers=2)
def sum_of(n: int) -> int:
    return sum(add_one.map(range(n)))


def test_a_map_inside_a_map_that_has_all_seats_does_not_wait_for_them(ray: Gateway) -> None:
    add_one.deploy()
    assert list(sum_of.map([10] * 6, engine="ray")) == [55] * 6


def test_a_map_of_another_function_has_its_share_of_the_seats(ray: Gateway) -> None:
    long = nap.map([0.1] * 400, engine="ray")
    assert next(long).startswith("ray-")
    short = list(where_i_am.map(range(40), engine="ray"))
    assert any(map(is_on_ray, short)), "as seats became free, it had one of them"
    long.close()


@serverless(name="ray-where")
def where_i_am(_: int) -> str:
    import os
    import time

    time.sleep(0.1)
    return os.environ["FAAS_REPLICA"]
