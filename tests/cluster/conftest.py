"""A real cluster: that of KUBECONFIG. Each test has namespaces of its own, which are removed."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_until

if TYPE_CHECKING:
    from tests.cluster.system import System

ROLLOUT_S = 120.0
TAG = os.environ.get("FAAS_TEST_TAG", "")
KUBECONFIG = os.environ.get("KUBECONFIG", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and skip it where there is no cluster."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if not KUBECONFIG:
                item.add_marker(pytest.mark.skip(reason="KUBECONFIG names no cluster"))


UNREACHED = ("TLS handshake timeout", "connection refused", "was refused", "connection reset")
"""What kubectl says when an API server has not heard it: said again it is said once."""
PATIENCE_S = 60.0


class KubectlFailed(Exception):
    """kubectl has refused; the text is what it said."""


Kubectl = Callable[..., str]


def run_kubectl(*args: str, stdin: str | None = None, timeout_s: float = 60.0) -> str:
    """Run kubectl, again while the API server does not hear it; return what it printed.

    Raises:
        KubectlFailed: Its exit code is not 0.
    """
    give_up_s = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(
            ["kubectl", *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if not done.returncode:
            return done.stdout
        is_unheard = any(word in done.stderr for word in UNREACHED)
        if not is_unheard or time.monotonic() >= give_up_s:
            raise KubectlFailed(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        time.sleep(0.5)


def wait_allowed(account: str, namespace: str, verb: str, resource: str, part: str = "") -> None:
    """Wait until a right that was given is in force: the API server hears of its own roles late."""
    asked = ["auth", "can-i", verb, resource, "-n", namespace, f"--as={account}"]

    def is_allowed() -> bool:
        with suppress(KubectlFailed):  # its exit code says no
            run_kubectl(*asked, *([f"--subresource={part}"] if part else []))
            return True
        return False

    wait_until(is_allowed, 60.0, what=f"{account} may {verb} {resource}")


@pytest.fixture(scope="session", autouse=True)
def _is_used() -> Iterator[None]:
    """Hold the lock of a cluster of this machine: `tools/test-cluster` does not make it new."""
    path = Path(f"{Path(KUBECONFIG).parent.parent}.lock")
    if not path.is_file():
        yield
        return
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Run kubectl; raises `KubectlFailed` with what it said."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    return run_kubectl


@pytest.fixture(scope="module")
def new_namespace(kubectl: Kubectl) -> Iterator[Callable[..., str]]:
    """Make namespaces by name; those that were made go at the end of the module."""
    made: list[str] = []

    def make(purpose: str, *labels: str, exists: bool = True) -> str:
        name = f"t-{purpose}-{secrets.token_hex(3)}"
        made.append(name)
        if exists:
            kubectl("create", "namespace", name)
            if labels:
                kubectl("label", "namespace", name, *labels)
        return name

    yield make
    kubectl("delete", "namespace", *made, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="session")
def system(kubectl: Kubectl) -> Iterator[System]:
    """An installation of its own: two gateways, a pool of four, blobs; removed at the end."""
    with installed() as made:
        yield made


def jupyter_faas(*args: str) -> str:
    """Run the command line; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_faas", *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def installed(
    *options: str,
    before: Callable[[str], object] = lambda system: None,
    command: Callable[..., str] = jupyter_faas,
) -> Iterator[System]:
    """Install into new namespaces and remove it again.

    Args:
        options: Of `jupyter-faas install`, beside namespaces.
        before: Called with the name of the system namespace, which is not there yet.
        command: Prints what is to be installed.
    """
    from tests.cluster.system import GATEWAY, System

    run = secrets.token_hex(3)
    system, functions = f"t-system-{run}", f"t-functions-{run}"
    told = [f"--system-namespace={system}", f"--namespace={functions}", "--preload=none"]
    if TAG:  # of images that were built beside those in use: `TAG=… tools/images`
        told += [f"--gateway-image=jupyter-faas/gateway:{TAG}"]
        told += [f"--ray-image=jupyter-faas/ray:{TAG}-py{{python}}"]
    made = command("install", *told, *options)
    try:
        before(system)
        run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=made)
        for place, name in ((functions, "jupyter-faas-pool-py311"), (system, GATEWAY)):
            wait = ("rollout", "status", f"deployment/{name}", f"--timeout={ROLLOUT_S:g}s")
            run_kubectl("-n", place, *wait, timeout_s=ROLLOUT_S + 10.0)
        there = System(system, functions)
        wait_until(there.answers, ROLLOUT_S, what="its Service leads to a gateway")
        yield there
    finally:
        with suppress(AssertionError):  # a test may have removed it
            jupyter_faas("uninstall", f"--system-namespace={system}", "--keep-crds", "--yes")
        run_kubectl("delete", "namespace", functions, "--ignore-not-found", "--wait=false")
