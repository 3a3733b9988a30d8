"""Whose class is it? Classes of notebooks, named by their definition.

In a payload a notebook's class is a reference: module, qualified name and a digest of its
definition, with the definition itself as fallback. `ClassTable` resolves it: to the class the
package brought (worker), to the caller's own class of that name if its definition is the same
(client), else to one built once from the fallback. So `type(result) is P` holds, also after the
notebook's kernel was restarted and the cell was run again.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from jupyter_faas.core import definition
from jupyter_faas.core.references import lookup

_MAX_BUILT = 512

Snapshot = tuple[Any, ...]


class ClassReference(NamedTuple):
    """The name of a class of a notebook, across processes."""

    module: str
    qualname: str
    digest: str


class Definition(NamedTuple):
    """A class by value, as bytes; `key` is a digest of them. Without bytes it cannot be built."""

    key: str
    blob: bytes | None


class _Known(NamedTuple):
    reference: ClassReference
    snapshot: Snapshot | None


class ClassTable:
    """Classes by digest and digests by class.

    Args:
        notebook: Module whose classes are preferred for a reference with an equal digest:
            `__main__` for a client, None for a worker.
    """

    def __init__(self, notebook: str | None = "__main__") -> None:
        self._notebook = notebook
        self._own: dict[ClassReference, type] = {}
        self._built: OrderedDict[tuple[ClassReference, str], type] = OrderedDict()
        self._known: WeakKeyDictionary[type, _Known] = WeakKeyDictionary()
        self._definitions: WeakKeyDictionary[type, tuple[Callable[[], bool], Definition]] = (
            WeakKeyDictionary()
        )
        self._bare: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
        self._lock = threading.RLock()

    @property
    def is_notebook(self) -> bool:
        """Whether this process is where the classes are defined, not where they were sent."""
        return self._notebook is not None

    def __iter__(self) -> Iterator[ClassReference]:
        """Return the references of the classes that a package brought."""
        return iter(list(self._own))

    def adopt(self, cls: type, reference: ClassReference) -> None:
        """Take `cls` as what `reference` means here, for good (a package's own class)."""
        with self._lock:
            self._own[reference] = cls
            self._known[cls] = _Known(reference, None)

    def reference(self, cls: type, digest: Callable[[type], str]) -> ClassReference:
        """Return the reference of a class; its digest is computed once per definition."""
        known = self._known.get(cls)
        if known is not None and (known.snapshot is None or _is_same(known.snapshot, cls)):
            return known.reference
        # Outside of the lock: a digest runs `__reduce__` of what the class holds.
        reference = ClassReference(cls.__module__, cls.__qualname__, digest(cls))
        with self._lock:
            self._known[cls] = _Known(reference, _snapshot(cls))
        return reference

    def find(
        self, reference: ClassReference, key: str, digest: Callable[[type], str]
    ) -> type | None:
        """Return the class a reference means here, or None: it must be built."""
        found = self._own.get(reference) or self._of_notebook(reference, digest)
        if found is None:
            found = self._built.get((reference, key))
        return found

    def remember(self, cls: type, reference: ClassReference, key: str) -> None:
        """Keep a class built from its definition, so that the next reference finds it.

        An empty key is a package's own class: it is what the reference means here, for good.
        """
        if not key:
            self.adopt(cls, reference)
            return
        with self._lock:
            self._built[reference, key] = cls
            self._known[cls] = _Known(reference, None)
            while len(self._built) > _MAX_BUILT:
                self._built.popitem(last=False)

    def definition(
        self, cls: type, make: Callable[[type], tuple[Definition, Callable[[], bool]]]
    ) -> Definition:
        """Return the definition of a class; made anew when what it refers to has changed."""
        cached = self._definitions.get(cls)
        if cached is not None and cached[0]():
            return cached[1]
        made, is_current = make(cls)
        with self._lock:
            self._definitions[cls] = (is_current, made)
        return made

    def begin(self, made: type) -> type:
        """Note that a class is bare: its state will follow."""
        self._bare[made] = True
        return made

    def finish(self, cls: type, state: dict[str, Any]) -> None:
        """Give a bare class its state; a class that was there already keeps its own."""
        if self._bare.pop(cls, False):
            definition.fill(cls, state)

    def _of_notebook(self, reference: ClassReference, digest: Callable[[type], str]) -> type | None:
        if self._notebook is None or reference.module != self._notebook:
            return None
        module = sys.modules.get(self._notebook)
        found = lookup(module, reference.qualname) if module is not None else None
        if not isinstance(found, type):
            return None
        return found if self.reference(found, digest) == reference else None


def _snapshot(cls: type) -> Snapshot:
    """Return what changes when somebody edits a class in place: its code, not its counters."""
    return tuple(
        (name, value)
        for name, value in list(vars(cls).items())
        if isinstance(value, FunctionType | classmethod | staticmethod | property)
    )


def _is_same(snapshot: Snapshot, cls: type) -> bool:
    own = vars(cls)
    return all(own.get(name) is value for name, value in snapshot)
