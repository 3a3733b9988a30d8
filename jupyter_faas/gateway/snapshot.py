"""Everything at one moment: what a reader of events begins with.

The gateway makes it from what is in memory, the command line from the store of a gateway that has
ended (`store/stored.py`): the same shape, so that a screen needs to know one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.version import VERSION
from jupyter_faas.gateway.entries import FunctionEntry
from jupyter_faas.gateway.views import Views


class Moment(NamedTuple):
    """Whose state it is, and from which number its events go on."""

    provider: str
    url: str
    namespace: str
    started_at: float
    """Wall clock, seconds since the epoch; 0: it does not run."""
    epoch: str = ""
    """Empty: there are no events to follow."""
    seq: int = 0
    public_url: str = ""
    """What people are told to call; empty: they find their own way."""


def snapshot(moment: Moment, entries: Sequence[FunctionEntry], views: Views) -> dict[str, Any]:
    """Return the state as `/v1/state` answers it: functions, revisions, replicas."""
    revisions = [revision for entry in entries for revision in entry.revisions.values()]
    return {
        "epoch": moment.epoch,
        "seq": moment.seq,
        "version": VERSION,
        "provider": moment.provider,
        "url": moment.url,
        "publicUrl": moment.public_url,
        "namespace": moment.namespace,
        "startedAt": moment.started_at,
        "functions": [views.encoded(entry) for entry in entries],
        # Of thousands, one at a time is made of Python objects.
        "revisions": [msgspec.Raw(msgspec.json.encode(views.brief(one))) for one in revisions],
        "replicas": [one for entry in entries for one in views.replicas(entry)],
        "maps": [],  # of the driver: a gateway that lives adds them
    }
