"""A gateway with Ray already up, for a whole test module. Runs where Ray is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_faas as faas
from jupyter_faas import serverless
from tests.e2e.conftest import gateway
from tests.e2e.gateway import Gateway, wait_until

__all__ = ["gateway"]

RAY_S = 120.0
"""Ray starts in 3 s on a quiet machine, in 30 s on a busy one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.ray)
            item.add_marker(pytest.mark.timeout(180))


@serverless(name="whereabouts")
def where(_: int) -> str:
    import os

    return os.environ["FAAS_REPLICA"]


def is_on_ray(replica: str) -> bool:
    return replica.startswith("ray-")


@pytest.fixture
def ray(gateway: Gateway) -> Iterator[Gateway]:
    """The gateway, once a map of it has run on Ray."""
    wait_until(
        lambda: is_on_ray(next(iter(where.map([0], engine="ray")))),
        RAY_S,
        what="Ray takes part",
    )
    yield gateway
    assert faas.gateway()


def command_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
