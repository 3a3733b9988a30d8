"""Bad input never hangs and never gives a bare stack trace."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas import serverless
from tests.e2e import functions
from tests.e2e.gateway import Gateway, wait_until
from tests.support import is_alive, resident_mib

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def _running(gateway: Gateway) -> None:
    """Every test here talks to this module's gateway."""


def cell(source: str, **names: Any) -> dict[str, Any]:
    """Run source as a notebook cell would be: defined in `__main__`."""
    space: dict[str, Any] = {"__name__": "__main__", "serverless": serverless, **names}
    exec(compile(source, "<cell>", "exec"), space)
    return space


def error_of(call: Callable[[], Any], kind: type[BaseException]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# -- before anything is sent ----------------------------------------------------------------


def test_an_unpicklable_global_is_named_with_the_path_to_it() -> None:
    client = types.SimpleNamespace(link=socket.socket())
    space = cell("@serverless\ndef fetch():\n    return client.link.fileno()\n", client=client)
    try:
        said = error_of(space["fetch"].remote, faas.NotSerializable)
    finally:
        client.link.close()
    assert "client" in said
    assert "socket" in said
    assert "fetch" in said


def test_an_unpicklable_argument_is_named() -> None:
    said = error_of(lambda: functions.double.remote(threading.Lock()), faas.NotSerializable)
    assert "lock" in said.lower()


def test_a_module_the_runner_lacks_is_named_before_upload() -> None:
    missing = types.ModuleType("no_such_package")
    missing.answer = 42  # type: ignore[attr-defined]  # a module made for this test
    sys.modules["no_such_package"] = missing
    try:
        space = cell(
            "import no_such_package\n@serverless\ndef uses():\n    return no_such_package.answer\n"
        )
        said = error_of(space["uses"].remote, faas.FaasError)
    finally:
        del sys.modules["no_such_package"]
    assert "no_such_package" in said


def test_a_module_missing_inside_the_function_is_an_import_error() -> None:
    space = cell("@serverless\ndef lazy():\n    import no_such_module_at_all\n")
    said = error_of(space["lazy"].remote, ImportError)
    assert "no_such_module_at_all" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_container": 3}, ["max_container", "max_containers"]),
        ({"max_containers": 0}, ["max_containers"]),
        ({"min_containers": 5, "max_containers": 2}, ["min_containers"]),
        ({"memory": "lots"}, ["memory"]),
        ({"memory": -1}, ["memory"]),
        ({"timeout": 0}, ["timeout"]),
        ({"timeout": "soon"}, ["timeout"]),
        ({"max_inputs": 0}, ["max_inputs"]),
        ({"retries": -1}, ["retries"]),
        ({"env": {"A": 1}}, ["env"]),
        ({"name": "Not_A_Label"}, ["name"]),
        ({"cpu": True}, ["cpu"]),
        ({"packages": "numpy"}, ["packages"]),
    ],
)
def test_a_wrong_decorator_argument_is_refused_at_its_line(
    arguments: dict[str, Any], words: list[str]
) -> None:
    said = error_of(lambda: serverless(**arguments)(lambda: None), faas.InvalidSpec)
    assert all(word in said for word in words), said


def test_a_function_whose_name_cannot_be_a_label_says_what_to_do() -> None:
    said = error_of(lambda: serverless(lambda x: x).deploy(), faas.InvalidSpec)
    assert "name" in said


def test_something_that_is_no_function_is_refused() -> None:
    error_of(lambda: serverless(42), faas.InvalidSpec)  # type: ignore[call-overload]  # on purpose


def test_wrong_arguments_are_a_type_error_as_in_a_plain_call() -> None:
    said = error_of(lambda: functions.double.remote(1, 2, 3), TypeError)
    assert "double" in said


def test_an_unknown_function_is_named() -> None:
    said = error_of(lambda: faas.function("nowhere").remote(1), faas.FunctionNotFound)
    assert "nowhere" in said


# -- large and many -------------------------------------------------------------------------


def test_100_mb_go_in_and_come_out_and_the_gateway_stays_small(gateway: Gateway) -> None:
    functions.length.remote(b"")
    functions.make_bytes.remote(0)
    before = resident_mib(gateway.pid)
    assert functions.length.remote(bytes(100_000_000)) == 100_000_000
    assert len(functions.make_bytes.remote(100_000_000)) == 100_000_000
    assert resident_mib(gateway.pid) - before <= 40


def test_a_million_items_stream_through() -> None:
    seen = 0
    for seen, item in enumerate(functions.count.remote(1_000_000), 1):
        assert item == seen - 1
    assert seen == 1_000_000


def test_leaving_a_generator_early_ends_it() -> None:
    items = functions.count.remote(1_000_000)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    items.close()
    assert list(functions.count.remote(2)) == [0, 1]  # its one replica is free again


def test_100_mb_of_output_neither_hang_nor_fill_the_gateway(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    functions.writes.remote(1)
    before = resident_mib(gateway.pid)
    assert functions.writes.remote(100) == 100
    assert resident_mib(gateway.pid) - before <= 40
    assert capsys.readouterr().out.count("x" * 1023) >= 1


# -- code that behaves badly ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["exit", "segfault", "kill"])
def test_a_function_that_ends_its_process_is_reported_as_that(how: str) -> None:
    with pytest.raises(faas.ReplicaLost) as caught:
        functions.dies.remote(how)
    assert str(caught.value)
    assert caught.value.fault == "user"


def test_the_next_call_after_a_crash_is_answered() -> None:
    with pytest.raises(faas.ReplicaLost):
        functions.dies.remote("kill")
    assert functions.survivor_pid.remote() > 1


def test_a_function_that_never_returns_is_ended_at_its_timeout() -> None:
    started = time.monotonic()
    said = error_of(functions.never_returns.remote, faas.InvocationTimeout)
    assert time.monotonic() - started < 20.0
    assert "1" in said


def test_what_a_function_forked_does_not_outlive_its_replica(gateway: Gateway) -> None:
    _, child = functions.forks.remote()
    functions.forks.delete()
    wait_until(lambda: not is_alive(child), 15.0, what="the forked process has ended")


def test_more_memory_than_allowed_is_a_memory_error_or_says_out_of_memory() -> None:
    assert functions.takes_memory.remote(32) == 32 << 20
    with pytest.raises((MemoryError, faas.ReplicaLost)) as caught:
        functions.takes_memory.remote(2_000)
    if isinstance(caught.value, faas.ReplicaLost):
        assert caught.value.extra["reason"] == "out_of_memory"


def test_a_result_that_cannot_be_pickled_is_named() -> None:
    said = error_of(functions.unpicklable_result.remote, faas.NotSerializable)
    assert "lock" in said


def test_an_exception_that_cannot_be_rebuilt_still_arrives_with_its_text() -> None:
    said = error_of(functions.unpicklable_error.remote, Exception)
    assert "odd 1 2" in said


def test_input_raises_at_once() -> None:
    started = time.monotonic()
    error_of(functions.reads_input.remote, Exception)
    assert time.monotonic() - started < 20.0


def test_sys_exit_in_a_function_does_not_end_the_caller() -> None:
    with pytest.raises((faas.FaasError, SystemExit)) as caught:
        functions.exits.remote()
    assert "enough" in str(caught.value)
    assert functions.double.remote(1) == 2


# -- no gateway -----------------------------------------------------------------------------


def test_no_gateway_is_said_with_advice_within_the_connect_time_out() -> None:
    source = """
import time
started = time.monotonic()
import jupyter_faas as faas
try:
    faas.connect("http://127.0.0.1:9", token="t")
    faas.functions()
except faas.GatewayUnavailable as error:
    print(len(str(error)) > 30, "127.0.0.1:9" in str(error), time.monotonic() - started < 20)
"""
    done = subprocess.run(
        [sys.executable, "-c", source], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.split() == ["True", "True", "True"], done.stderr
