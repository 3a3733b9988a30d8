"""Has the set of installed packages changed since a zygote imported some of them?

A handful of `stat` calls when nothing has (10 µs): asked before every fork. Only when a
directory's time differs are its entries read, because caches and temporary files change it too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

_MARKS = (".dist-info", ".egg-info", ".pth", ".egg-link")

Marks = frozenset[tuple[str, str, int]]


class SiteStamp:
    """What the directories of a search path held at one moment.

    Args:
        sys_path: Search path of an interpreter; entries that are no directory are left out.
    """

    def __init__(self, sys_path: Sequence[str]) -> None:
        self._directories = tuple(dict.fromkeys(path for path in sys_path if os.path.isdir(path)))
        self._times = self._read_times()
        self.marks = _read_marks(self._directories)

    def is_current(self) -> bool:
        """Return whether the same distributions are installed as when this was made."""
        times = self._read_times()
        if times == self._times:
            return True
        if _read_marks(self._directories) != self.marks:
            return False
        self._times = times
        return True

    def _read_times(self) -> tuple[int, ...]:
        pth = [path for path, _, _ in getattr(self, "marks", ()) if path.endswith(".pth")]
        return tuple(_mtime_ns(path) for path in (*self._directories, *sorted(pth)))


def _mtime_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _read_marks(directories: Sequence[str]) -> Marks:
    found: set[tuple[str, str, int]] = set()
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                names = [entry.name for entry in entries if entry.name.endswith(_MARKS)]
        except OSError:
            continue
        for name in names:
            path = os.path.join(directory, name)
            found.add((path, name, _mtime_ns(path)))
    return frozenset(found)
