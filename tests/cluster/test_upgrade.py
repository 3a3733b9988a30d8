"""From an earlier version to this one, with the same options, while calls go on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import installed, jupyter_faas, run_kubectl
from tests.cluster.loading import DOUBLE, check, load_while
from tests.cluster.system import GATEWAY, System, inline
from tests.support import wait_until

BEFORE = os.environ.get("FAAS_TEST_BEFORE", "")
"""A commit; its images are tagged `before`."""
OPTIONS = ("--preload=none", "--pool=3.11=2")
FOR_S = 60.0
SCALING = {"minContainers": 2, "maxContainers": 6, "maxInputs": 8}

pytestmark = pytest.mark.skipif(not BEFORE, reason="FAAS_TEST_BEFORE names no earlier version")


@pytest.fixture
def old(tmp_path: Path) -> Iterator[System]:
    """An installation as the earlier version made it."""
    root = Path(__file__).parents[2]
    archive = subprocess.run(
        ["git", "-C", str(root), "archive", BEFORE], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=archive.stdout, check=True)

    def earlier(*args: str) -> str:
        told = [sys.executable, "-m", "jupyter_faas", *args]
        done = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    images = (
        "--gateway-image=jupyter-faas/gateway:before",
        "--runner-image=jupyter-faas/runner:before-py{python}",
    )
    with installed(*OPTIONS, *images, command=earlier) as system:
        yield system


def test_an_upgrade_under_load_loses_nothing(old: System) -> None:
    system = old

    def uid_of(function: str) -> str:
        (replica,) = system.replicas(function)
        return str(replica["metadata"]["uid"])

    system.apply(
        inline("double", DOUBLE, scaling=SCALING),
        inline("asleep", "def asleep():\n    return 'first'\n"),
        inline("steady", "def steady():\n    return 'steady'\n", scaling={"minContainers": 1}),
    )
    system.wait_ready("steady")
    system.wait_ready("asleep")
    wait_until(lambda: len(system.ready_replicas("double")) == 2, 60.0)
    system.apply(inline("asleep", "def asleep():\n    return 'second'\n"))
    wait_until(lambda: system.call("asleep").body == b"second", 60.0)
    before = uid_of("steady")

    def upgrade() -> None:
        where = (f"--system-namespace={system.system}", f"--namespace={system.namespace}")
        made = jupyter_faas("install", *where, *OPTIONS)
        run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=made)
        for place, name in (
            (system.system, GATEWAY),
            (system.namespace, "jupyter-faas-pool-py311"),
        ):
            wait = ("rollout", "status", f"deployment/{name}", "--timeout=120s")
            run_kubectl("-n", place, *wait, timeout_s=130.0)

    check(load_while(system, "double", upgrade, for_s=FOR_S), may_fail=0, for_s=FOR_S)
    assert uid_of("steady") == before, "an older runner goes on serving"
    assert system.call("steady").body == b"steady"
    # What was there is there: revisions, code, traffic; and both versions' runners answer.
    assert system.call("double", 21).headers["faas-revision"] == "1"
    assert system.call("asleep").body == b"second"
    system.control("POST", "/v1/functions/asleep/rollback", {})
    wait_until(lambda: system.call("asleep").body == b"first", 60.0)
    system.apply(inline("double", DOUBLE + "# new\n", scaling=SCALING))
    wait_until(lambda: system.call("double", 2).headers.get("faas-revision") == "2", 60.0)
