"""A client connected to a gateway that runs in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_faas.client.connect import connect
from jupyter_faas.client.session import Session, session
from tests.client.pretend_gateway import TOKEN, PretendGateway, pretend_gateway
from tests.support import wait_for_cards


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendGateway]:
    """The gateway the client calls; what the client remembered before is forgotten."""
    monkeypatch.delenv("FAAS_GATEWAY_URL", raising=False)
    monkeypatch.setattr(session, "deployed", {})
    monkeypatch.setattr(session, "gateway", None)
    monkeypatch.setattr(session, "display", Session().display)
    with pretend_gateway() as running:
        client = connect(running.address, TOKEN)
        yield running
        wait_for_cards()
        client.close()
