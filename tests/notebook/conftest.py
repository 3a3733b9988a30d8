"""A real kernel whose client talks to a gateway in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.client.pretend_gateway import TOKEN, PretendGateway, pretend_gateway
from tests.notebook.kernel import Kernel
from tests.notebook.kernel import kernel as run_kernel


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
