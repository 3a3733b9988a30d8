"""One attempt at running a kept call: whatever its store does, the call does not get lost."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.core.errors import FaasError, InternalError, ProviderError
from jupyter_faas.gateway.kept.attempt import Attempt
from jupyter_faas.gateway.store.kept_base import KeptCall


class House:
    """Has the call, and remembers why it is to be tried again."""

    def __init__(self) -> None:
        self.why: list[FaasError | None] = []

    def again(self, _call: KeptCall, error: FaasError | None) -> None:
        self.why.append(error)


class Store:
    """Fails as a test says."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def body(self, _id: str) -> bytes | None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind"), [(ProviderError("away"), ProviderError), (KeyError("odd"), InternalError)]
)
async def test_a_call_whose_arguments_cannot_be_had_is_tried_again(
    error: Exception, kind: type[FaasError]
) -> None:
    house: Any = House()
    store: Any = Store(error)
    calls: Any = None  # nothing gets so far
    call = KeptCall("c1", "default", "f", 1.0)
    await Attempt(call, house, store, calls, max_answer_bytes=1, wall_clock=lambda: 1.0).run()
    assert [type(why) for why in house.why] == [kind]
