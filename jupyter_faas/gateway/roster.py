"""The replicas that have not ended, by id and by revision, each with its one alarm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.replica import Replica


class Roster:
    """Knows every replica of one gateway from the wish to have it until its end."""

    def __init__(self) -> None:
        self._by_id: dict[str, Replica] = {}
        self._by_entry: dict[str, dict[str, Replica]] = {}
        self._alarms: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, replica_id: str) -> bool:
        return replica_id in self._by_id

    def all(self) -> Sequence[Replica]:
        """Return all of them."""
        return tuple(self._by_id.values())

    def of(self, entry: RevisionEntry) -> Sequence[Replica]:
        """Return those of a revision."""
        return tuple(self._by_entry.get(entry.key, {}).values())

    def find(self, replica_id: str) -> Replica | None:
        """Return one by its id."""
        return self._by_id.get(replica_id)

    def enter(self, replica: Replica) -> None:
        """Note a replica."""
        self._by_id[replica.id] = replica
        self._by_entry.setdefault(replica.entry.key, {})[replica.id] = replica

    def strike(self, replica: Replica) -> bool:
        """Forget a replica and its alarm; False: it was forgotten before."""
        if self._by_id.pop(replica.id, None) is None:
            return False
        family = self._by_entry[replica.entry.key]
        del family[replica.id]
        if not family:
            del self._by_entry[replica.entry.key]
        self.quiet(replica)
        return True

    def alarm(self, replica: Replica, delay_s: float, ring: Callable[[Replica], None]) -> None:
        """Set the one alarm of a replica: `ring` is called after `delay_s` seconds."""
        self.quiet(replica)
        loop = asyncio.get_running_loop()
        self._alarms[replica.id] = loop.call_later(delay_s, ring, replica)

    def quiet(self, replica: Replica) -> None:
        """Call the alarm off."""
        alarm = self._alarms.pop(replica.id, None)
        if alarm is not None:
            alarm.cancel()

    def close(self) -> None:
        """No alarm rings any more."""
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
