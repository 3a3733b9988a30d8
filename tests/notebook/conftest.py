"""Real kernels: with a gateway in this process, or an embedded one of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import demo
from tests.client.pretend_gateway import TOKEN, PretendGateway, pretend_gateway
from tests.notebook.kernel import Kernel
from tests.notebook.kernel import kernel as run_kernel
from tests.support import state_dir


@pytest.fixture(scope="module")
def gateway() -> Iterator[PretendGateway]:
    with pretend_gateway() as running:
        yield running


@pytest.fixture(scope="module")
def kernel(gateway: PretendGateway) -> Iterator[Kernel]:
    environ = {
        **os.environ,
        "FAAS_GATEWAY_URL": gateway.address,
        "FAAS_GATEWAY_TOKEN": TOKEN,
    }
    with run_kernel(environ) as running:
        yield running


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    with state_dir("faas-nb-") as path:
        yield path
        demo.end_gateway(path)


@pytest.fixture(scope="module")
def live(state: Path) -> Iterator[Kernel]:
    """A kernel that has found no gateway yet."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("FAAS_")}
    with run_kernel(environ | {"FAAS_STATE_DIR": str(state)}) as running:
        running.run("%load_ext jupyter_faas\nfrom jupyter_faas import serverless")
        yield running
