"""Processes that die, callers that leave, and two of them at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas import serverless
from tests.e2e import functions
from tests.e2e.gateway import Gateway, wait_until
from tests.support import free_ports

pytestmark = pytest.mark.timeout(300)

# Code that is ended says so in a file: it has the time for that on a busy machine, too.
SETTINGS = {"FAAS_CANCEL_GRACE_S": "5"}


def make(name: str, value: int, **settings: Any) -> Any:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(f"def f():\n    import os\n    return {value}, os.getpid()\n", space)
    return serverless(name=name, **settings)(space["f"])


def shape(gateway: Gateway, *names: str) -> dict[str, Any]:
    """Return what must survive a crash of the gateway: revisions, traffic, settings."""
    found = {}
    for name in names:
        function = gateway.request("GET", f"/v1/functions/{name}").json()
        revisions = gateway.request("GET", f"/v1/functions/{name}/revisions").json()
        rows = revisions["revisions"] if isinstance(revisions, dict) else revisions
        kept = function.get("function", function)
        found[name] = {
            "traffic": kept["traffic"],
            "latest": kept["latest"],
            "settings": kept.get("settings"),
            "revisions": sorted((row["number"], row["id"], row["state"]) for row in rows),
        }
    return found


def run_in_another_process(source: str) -> str:
    """Return the output of a second client, which finds the gateway by the state directory."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_after_kill_9_functions_revisions_and_traffic_are_as_they_were(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # a port that nobody is given while it is down
        patch.setenv("FAAS_PORT", str(free_ports(1)[0]))
        assert gateway.stop() == []
        gateway.start()
    make("kept", 1, max_containers=7).deploy()
    make("kept", 2, max_containers=7).deploy()
    make("kept", 3, max_containers=7).deploy()
    faas.function("kept").traffic({1: 30, 3: 70})
    make("rolled", 1).deploy()
    make("rolled", 2).deploy()
    faas.function("rolled").rollback()
    before = shape(gateway, "kept", "rolled")
    address, token, pid = gateway.address, gateway.token, gateway.pid

    gateway.kill()
    wait_until(lambda: not gateway.survivors(), what="replicas ended with their gateway")
    gateway.start()

    assert gateway.pid != pid
    assert (gateway.address, gateway.token) == (address, token)
    assert shape(gateway, "kept", "rolled") == before
    assert gateway.call("rolled", {}).json()[0] == 1
    assert {gateway.call("kept", {}).json()[0] for _ in range(60)} == {1, 3}


def test_a_deploy_cut_by_kill_9_is_there_or_not_there_never_half(gateway: Gateway) -> None:
    for delay_s in (0.0, 0.002, 0.005, 0.01):
        version = make("cut", int(delay_s * 1000) + 10)
        deploying = threading.Thread(target=_try_to_deploy, args=(version,))
        gateway.processes()
        deploying.start()
        time.sleep(delay_s)  # the moment of the kill is the point, not a wait
        os.kill(gateway.pid, signal.SIGKILL)
        deploying.join(30.0)
        gateway.start()
        listed = [row["name"] for row in _functions(gateway)]
        if "cut" in listed:
            assert gateway.call("cut", {}).status == 200
        version.deploy()
        assert gateway.call("cut", {}).json()[0] == int(delay_s * 1000) + 10


def _try_to_deploy(function: Any) -> None:
    with contextlib.suppress(faas.FaasError):  # the gateway is killed in the middle of it
        function.deploy()


def _functions(gateway: Gateway) -> list[dict[str, Any]]:
    listed = gateway.request("GET", "/v1/functions").json()
    rows = listed["functions"] if isinstance(listed, dict) else listed
    return [row.get("function", row) for row in rows]


def test_a_call_in_flight_when_the_gateway_dies_says_that_it_may_have_run(
    gateway: Gateway, tmp_path: Path
) -> None:
    functions.marks_its_end.deploy()
    mark = tmp_path / "mark"
    raised: list[BaseException] = []

    def call() -> None:
        try:
            functions.marks_its_end.remote(str(mark), 30.0)
        except BaseException as error:
            raised.append(error)

    calling = threading.Thread(target=call)
    calling.start()
    wait_until(mark.exists, what="the function has started")
    gateway.kill()
    calling.join(20.0)
    assert [type(error) for error in raised] == [faas.GatewayLost]
    wait_until(lambda: not gateway.survivors(), what="replicas ended with their gateway")
    gateway.start()
    assert functions.double.remote(4) == 8


def test_a_client_that_leaves_cancels_its_call_and_the_slot_comes_back(
    gateway: Gateway, tmp_path: Path
) -> None:
    name = "marks-its-end"
    functions.marks_its_end.deploy()
    mark = tmp_path / "mark"
    body = json.dumps({"path": str(mark), "seconds": 30}).encode()
    link = socket.create_connection(gateway.address)
    link.sendall(
        f"POST /function/{name} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    wait_until(lambda: mark.exists() and mark.read_text(), what="the function has started")
    link.close()
    wait_until(lambda: "ended" in mark.read_text(), what="the code has ended")
    assert "KeyboardInterrupt" in mark.read_text()
    again = gateway.call(name, {"path": str(mark), "seconds": 0})
    assert again.status == 200


def test_two_clients_have_one_gateway(gateway: Gateway) -> None:
    make("shared", 5).deploy()
    source = """
        import json, os
        import jupyter_faas as faas
        print(json.dumps([faas.gateway().url, faas.function("shared").remote()[0]]))
    """
    url, value = json.loads(run_in_another_process(source))
    assert (url, value) == (gateway.info["url"], 5)


def test_clients_that_start_at_once_get_one_gateway(gateway: Gateway) -> None:
    gateway.stop()
    source = "import jupyter_faas as faas; print(faas.gateway().url, faas.functions() is not None)"
    running = [
        subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60)[0].split() for process in running]
    gateway.start()
    assert {line[0] for line in said} == {gateway.info["url"]}


def test_a_replica_that_is_killed_is_replaced_and_no_later_call_fails(gateway: Gateway) -> None:
    make("killed", 1, min_containers=1).deploy()
    pid = gateway.call("killed", {}).json()[1]
    os.kill(pid, signal.SIGKILL)
    answer = wait_until(lambda: (a := gateway.call("killed", {})).status == 200 and a)
    assert answer.json()[0] == 1
    assert answer.json()[1] != pid


def test_fronts_that_are_killed_are_replaced(gateway: Gateway) -> None:
    make("fronted", 1, min_containers=1).deploy()
    assert gateway.call("fronted", {}).status == 200
    before = gateway.replicas("fronted")[0]["id"]
    for pid in fronts(gateway):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: (
            [row["id"] for row in gateway.replicas("fronted") if row["state"] == "ready"]
            not in ([], [before])
        ),
        what="another replica is ready",
        seen=lambda: gateway.replicas("fronted"),
    )
    assert gateway.call("fronted", {}).status == 200


def fronts(gateway: Gateway) -> list[int]:
    """Return the processes that stand between the gateway and the workers."""
    found = []
    for pid in gateway.processes():
        with contextlib.suppress(OSError):  # it may just have ended
            if Path(f"/proc/{pid}/comm").read_text().strip() == "faas-front":
                found.append(pid)
    return found


def test_stopping_the_gateway_ends_everything_it_started(gateway: Gateway) -> None:
    make("stopped", 1, min_containers=2).deploy()
    gateway.call("stopped", {})
    assert gateway.stop() == []
    gateway.start()
    assert gateway.call("stopped", {}).json()[0] == 1
