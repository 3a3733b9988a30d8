"""Calls of several threads that one thread ends: what is cut, and what is left alone."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from jupyter_faas.client import underway
from jupyter_faas.client.underway import Underway
from jupyter_faas.core.errors import GatewayLost, InvocationCancelled


class Connection:
    """Waits for an answer that never comes; `close` wakes it up."""

    def __init__(self, opens_at: int = 1) -> None:
        self.cut = threading.Event()
        self._left = opens_at

    def close(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.cut.set()

    def wait(self) -> None:
        assert self.cut.wait(10)
        raise GatewayLost("cut")


def taken(connection: Any) -> underway.Call:
    call = underway.current.get()
    assert call is not None
    call.take(connection)
    return call


@pytest.mark.parametrize("opens_at", [1, 3], ids=["open", "being opened"])
def test_every_call_is_cut_until_it_has_ended(opens_at: int) -> None:
    calls, errors, begun = Underway(), list[Exception](), threading.Barrier(4)

    def wait() -> None:
        connection = Connection(opens_at)
        try:
            with calls.call():
                taken(connection)
                begun.wait(10)
                connection.wait()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    calls.end()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [InvocationCancelled] * 3


def test_what_was_given_back_or_handed_on_is_not_cut() -> None:
    calls = Underway()
    given_back, handed_on = Connection(), Connection()
    with calls.call():
        taken(given_back).give_back(given_back)  # type: ignore[arg-type]
        taken(handed_on)
    calls.end()
    assert not given_back.cut.is_set()
    assert not handed_on.cut.is_set()


def test_a_call_that_comes_later_says_nothing() -> None:
    calls, connection = Underway(), Connection()
    calls.end()
    with pytest.raises(InvocationCancelled), calls.call():
        taken(connection)
    assert connection.cut.is_set()
    assert underway.current.get() is None


def test_errors_of_a_call_that_nobody_ended_are_its_own() -> None:
    with pytest.raises(ValueError, match="mine"), Underway().call():
        raise ValueError("mine")
