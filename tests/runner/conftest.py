"""Zygotes for tests: one for a whole module, or one to be broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runner.harness import Replica, Zygote, running_zygote
from tests.support import state_dir


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with state_dir("faas-run-") as path:
        yield from running_zygote(path)


@pytest.fixture
def own_zygote() -> Iterator[Zygote]:
    """A zygote of this test alone."""
    with state_dir("faas-run-") as path:
        yield from running_zygote(path)


@pytest.fixture
def terse_zygote() -> Iterator[Zygote]:
    """A zygote whose control socket holds a few events."""
    with state_dir("faas-run-") as path:
        yield from running_zygote(path, buffer_bytes=1)  # the kernel's least: some 4 KiB


@pytest.fixture
def replica(zygote: Zygote) -> Iterator[Replica]:
    replica = zygote.replica()
    yield replica
    zygote.send(op="stop", id=replica.name, grace_s=0)
    zygote.wait_event("gone", id=replica.name)
