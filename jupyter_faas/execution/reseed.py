"""Fresh randomness after a fork: replicas of one zygote must not draw the same numbers.

`random` reseeds itself after a fork (CPython ≥ 3.7), numpy's global generator and torch's do
not. Other libraries register a hook.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable

_hooks: list[Callable[[], None]] = []


def register(hook: Callable[[], None]) -> Callable[[], None]:
    """Have `hook` called in every worker after its fork; usable as a decorator."""
    _hooks.append(hook)
    return hook


def reseed() -> None:
    """Reseed every generator this process shares with its parent."""
    random.seed()
    for hook in _hooks:
        hook()


@register
def _numpy() -> None:
    # Only when the zygote has imported it: a fresh import seeds itself.
    module = sys.modules.get("numpy.random")
    if module is not None:
        module.seed(int.from_bytes(os.urandom(4), "little"))


@register
def _torch() -> None:
    module = sys.modules.get("torch")
    if module is not None:
        module.seed()
