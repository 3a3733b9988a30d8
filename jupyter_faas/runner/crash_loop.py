"""When to start a lost worker again, and when to give up. Pure."""

from __future__ import annotations

FIRST_DELAY_S = 0.05
MAX_DELAY_S = 2.0
FREE_LOSSES = 3
"""So many losses in a row are answered at once: a call that kills its worker is its own affair."""
MAX_LOSSES = 20
"""So many in a row without a call that ended: the replica is of no use."""
MAX_LOAD_LOSSES = 3
"""So many in a row while the package was being loaded."""


class CrashLoop:
    """Counts losses in a row."""

    def __init__(self) -> None:
        self._losses = 0
        self._load_losses = 0

    def succeeded(self) -> None:
        """A call has ended in a living worker."""
        self._losses = self._load_losses = 0

    def lost(self, *, was_loading: bool) -> float | None:
        """Return seconds until a new worker should start; None: give up."""
        self._losses += 1
        self._load_losses = self._load_losses + 1 if was_loading else 0
        if self._losses >= MAX_LOSSES or self._load_losses >= MAX_LOAD_LOSSES:
            return None
        extra = self._losses - FREE_LOSSES - 1
        return 0.0 if extra < 0 else min(MAX_DELAY_S, FIRST_DELAY_S * 2.0**extra)
