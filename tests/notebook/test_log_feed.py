"""Followed logs: who stops following leaves neither a thread nor a connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from jupyter_faas.notebook.log_feed import LogFeed
from tests.support import wait_until


class Silent:
    """A connection, and an answer on it that says nothing until it is closed."""

    def __init__(self) -> None:
        self.is_closed = threading.Event()

    def close(self) -> None:
        self.is_closed.set()

    def iter_body(self) -> Iterator[bytes]:
        self.is_closed.wait(60)
        yield from ()


def test_what_is_followed_no_more_while_it_is_asked_for_is_let_go() -> None:
    asked, may_answer, silent = threading.Event(), threading.Event(), Silent()

    def open(_path: str) -> Any:
        asked.set()
        assert may_answer.wait(20)
        return silent, silent

    feed = LogFeed(open, lambda _function, _lines: None)
    feed.follow({"f"})
    assert asked.wait(20)
    feed.follow(set())
    may_answer.set()
    wait_until(silent.is_closed.is_set, what="its connection is closed")
