"""Whether code is deployed already. Pure.

The question comes up when a handle is used for the first time or its code has changed: the
gateway is asked once for what it knows under the name, and compared here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jupyter_faas.client.views import Replica, Revision
from jupyter_faas.core import model
from jupyter_faas.core.rollout import is_rewritten

_NOWHERE = model.Origin()


@dataclass(frozen=True)
class Known:
    """What the gateway knows under a name."""

    function: model.Function
    revisions: Sequence[Revision] = ()
    """Newest first."""
    replicas: Sequence[Replica] = ()

    def by_id(self, revision_id: str) -> Revision | None:
        """Return the revision with this fingerprint, if it is still kept."""
        return next((r for r in self.revisions if r.id == revision_id), None)

    def by_number(self, number: int) -> Revision | None:
        """Return the revision with this number, if it is still kept."""
        return next((r for r in self.revisions if r.number == number), None)


def reusable(
    known: Known | None,
    revision_id: str,
    declared: model.FunctionSettings,
    here: model.Origin = _NOWHERE,
) -> Revision | None:
    """Return the revision that runs this code already and gets calls; None: deploy.

    An older revision without traffic, or one that failed, is deployed: that makes it live again
    under its number. So is one that was deployed with other settings than the decorator says
    now; settings that somebody changed live since then stay. So is one whose cell says the same in
    other words since: the gateway keeps which text it is.
    """
    if known is None or (known.function.declared or known.function.settings) != declared:
        return None
    revision = known.by_id(revision_id)
    if revision is None or is_rewritten(revision.origin, here):
        return None
    return revision if _gets_calls(known.function, revision) else None


def _gets_calls(function: model.Function, revision: model.Revision) -> bool:
    """Whether it is the latest, and answers or is about to.

    One that answers beside a newer one is left to the gateway: it knows whether that means to go
    back.
    """
    if revision.number != function.latest:
        return False
    return revision.state is model.RevisionState.PENDING or revision.number in function.traffic
