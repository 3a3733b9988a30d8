"""Equal values once: what a thousand functions of one notebook have in common is kept once.

Frozen model values hold dicts and so cannot be hashed; they are told apart by their encoding.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

import msgspec

from jupyter_faas.core.model import Revision, RevisionSpec

V = TypeVar("V")


class Interner:
    """Hands out one object for all equal ones of a type.

    Args:
        limit: How many values are remembered; the least recently asked for are forgotten, which
            costs memory later and never correctness.
    """

    def __init__(self, limit: int = 512) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[type, bytes], object] = OrderedDict()

    def share(self, value: V) -> V:
        """Return `value`, or an equal one seen before. The result must not be changed."""
        key = (type(value), msgspec.msgpack.encode(value))
        found = self._known.setdefault(key, value)
        self._known.move_to_end(key)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return found  # type: ignore[return-value]  # the key holds the type

    def revision(self, revision: Revision) -> Revision:
        """Return a revision whose parts that tend to repeat are shared."""
        share = self.share
        code = msgspec.structs.replace(
            revision.spec.code,
            methods=share(revision.spec.code.methods),
            parameters=share(revision.spec.code.parameters),
            modules=share(revision.spec.code.modules),
            python=share(revision.spec.code.python),
        )
        return msgspec.structs.replace(
            revision, spec=self._spec(revision.spec, code), origin=share(revision.origin)
        )

    def _spec(self, spec: RevisionSpec, code: object) -> RevisionSpec:
        share = self.share
        shared = {
            name: share(getattr(spec, name))
            for name in ("env", "volumes", "resources", "retries", "node_selector", "place")
        }
        return msgspec.structs.replace(spec, code=code, **shared)
