"""The one reader of a kernel: while panels are looked at, it reads the gateway's events for all.

One thread and one connection, however many panels, and none when nobody looks (a followed log has
one of each besides). It starts no gateway and keeps none alive.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from jupyter_faas.client import answers, connect
from jupyter_faas.core.errors import EventsGone, FaasError, GatewayUnavailable
from jupyter_faas.notebook import panel_messages
from jupyter_faas.notebook.cells import OWN_THREADS
from jupyter_faas.notebook.log_feed import LogFeed
from jupyter_faas.notebook.panel_messages import Message, Wish
from jupyter_faas.wire.blocking import BlockingConnection, Response
from jupyter_faas.wire.sse import EventDecoder

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway

MAX_HZ = 4
_RETRY_S = (0.2, 0.5, 1.0, 2.0)
_LOOK_S = 1.0
_ASLEEP = "It starts with the first call."
_STATE_TIMEOUT_S = 10.0


class Watcher(Protocol):
    """A panel that is looked at."""

    @property
    def wish(self) -> Wish:
        """What it wants to hear of."""

    def take(self, message: Message) -> None:
        """Tell its views; called from the reader's thread."""

    def is_watched(self) -> bool:
        """Whether still anybody looks; asked every second."""


class Feed:
    """Reads events while there are watchers.

    Args:
        find: Returns the gateway if there is one; starts none.
    """

    def __init__(self, find: Callable[[], Gateway | None]) -> None:
        self._find = find
        self._lock = threading.RLock()
        self._watchers: list[Watcher] = []
        self._changed = threading.Event()
        self._connection: BlockingConnection | None = None
        self._reader: threading.Thread | None = None
        self._logs = LogFeed(self._open, self._tell_log)

    @property
    def is_reading(self) -> bool:
        """Whether there is a reader."""
        return self._reader is not None

    def watch(self, watcher: Watcher) -> None:
        """Begin to tell a watcher, or hear that its wish has changed: it gets a new snapshot."""
        with self._lock:
            if watcher not in self._watchers:
                self._watchers.append(watcher)
            if self._reader is None:
                reader = self._reader = _thread("events", self._read)
                _thread("watch", lambda: self._look(reader))
            self._begin_anew()

    def leave(self, watcher: Watcher) -> None:
        """Tell a watcher no more; the last one takes thread and connection along."""
        with self._lock:
            if watcher in self._watchers:
                self._watchers.remove(watcher)
                self._begin_anew()

    def _begin_anew(self) -> None:
        self._logs.follow({name for watcher in self._watchers for name in watcher.wish.logs})
        self._changed.set()
        if self._connection is not None:
            self._connection.close()

    def _look(self, reader: threading.Thread) -> None:
        """Once a second, as long as a reader is at work: let go whom nobody looks at any more."""
        pause = threading.Event()
        while self._reader is reader:
            pause.wait(_LOOK_S)
            for watcher in list(self._watchers):
                if not watcher.is_watched():
                    self.leave(watcher)

    def _read(self) -> None:
        try:
            self._read_on()
        finally:
            with self._lock:  # what it could not expect ends it: the next watcher has a new one
                if self._reader is threading.current_thread():
                    self._reader = None

    def _read_on(self) -> None:
        tries = 0
        while self._goes_on():
            try:
                if self._read_once():
                    tries = 0
                    continue
            except EventsGone:
                continue  # a restarted gateway: its state is read anew
            except (FaasError, OSError, ValueError, msgspec.MsgspecError) as error:
                if not self._changed.is_set():
                    self._tell(_trouble(error))
            self._changed.wait(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
            tries += 1

    def _goes_on(self) -> bool:
        with self._lock:
            self._changed.clear()
            self._connection = None
            if not self._watchers:
                self._reader = None
            return self._reader is not None

    def _read_once(self) -> bool:
        """Read until the stream ends or wishes change; False: there is no gateway."""
        gateway = self._find()
        if gateway is None:
            self._tell(panel_messages.status("asleep", reason=_ASLEEP))
            return False
        with self._lock:
            watchers = list(self._watchers)
            query = panel_messages.query(watcher.wish for watcher in watchers)
        snapshot = _state(gateway)
        for watcher in watchers:
            watcher.take(panel_messages.status("live", snapshot))
            state = panel_messages.part_of(snapshot, watcher.wish.function)
            watcher.take({"type": "snapshot", "state": state})
        since = f"{snapshot['epoch']}.{snapshot['seq']}"
        connection, answer = self._open(f"/v1/events?since={since}&max_hz={MAX_HZ}{query}")
        with contextlib.closing(connection):
            with self._lock:
                self._connection = connection
            # Whoever changes something from here on closes the connection.
            if not self._changed.is_set():
                self._pass_on(answer)
        return True

    def _pass_on(self, answer: Response) -> None:
        decoder = EventDecoder()
        for chunk in answer.iter_body():
            events = panel_messages.read_events(decoder.feed(bytes(chunk)))
            if self._changed.is_set() or any(event["kind"] == "snapshot" for event in events):
                return
            if not events:
                continue
            for watcher in list(self._watchers):
                mine = panel_messages.chosen(events, watcher.wish)
                if mine:
                    watcher.take({"type": "events", "events": mine})

    def _tell(self, message: Message) -> None:
        for watcher in list(self._watchers):
            watcher.take(message)

    def _tell_log(self, function: str, lines: list[Message]) -> None:
        for watcher in list(self._watchers):
            if function in watcher.wish.logs:
                watcher.take({"type": "log", "function": function, "lines": lines})

    def _open(self, path: str) -> tuple[BlockingConnection, Response]:
        """Ask on a connection of its own, which whoever reads the answer closes."""
        gateway = self._find()
        if gateway is None:
            raise EventsGone("There is no gateway.")
        return _asked(gateway, path, None)


def _trouble(error: Exception) -> Message:
    """Return what to tell of a gateway that is not there."""
    if isinstance(error, GatewayUnavailable) and connect.is_asleep():
        return panel_messages.status("asleep", reason=_ASLEEP)
    return panel_messages.status("reconnecting", reason=str(error))


def _state(gateway: Gateway) -> dict[str, Any]:
    connection, answer = _asked(gateway, "/v1/state", _STATE_TIMEOUT_S)
    with contextlib.closing(connection):
        state: dict[str, Any] = msgspec.json.decode(answer.read())
        return state


def _asked(
    gateway: Gateway, path: str, timeout_s: float | None
) -> tuple[BlockingConnection, Response]:
    if gateway.access is not None and gateway.access.is_due():
        gateway.renew()
    connection = BlockingConnection(
        gateway.location.address, connect_timeout_s=gateway.connect_timeout_s
    )
    try:
        target = gateway.control_path(path)
        answer = connection.request("GET", target, (gateway.authorization,), timeout_s=timeout_s)
        if answer.status >= 400:
            raise answers.problem_of(answer.status, answer.headers, answer.read())
    except BaseException:
        connection.close()
        raise
    return connection, answer


def _thread(what: str, run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, name=f"{OWN_THREADS}-{what}", daemon=True)
    thread.start()
    return thread
