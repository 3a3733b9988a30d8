"""How classes of notebooks lie in pickles: whole (packages, definitions) or by reference.

The functions `begin_class`, `end_class` and `resolve_class` are named in pickles; the unpickler
binds its `ClassTable` as their first argument (`pickling.TableUnpickler`).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from jupyter_faas.core import definition
from jupyter_faas.core.canonical import class_digest, digest_of
from jupyter_faas.core.classes import ClassReference, ClassTable, Definition
from jupyter_faas.core.errors import NotSerializable
from jupyter_faas.core.pickling import ByValuePickler, Chunks, TableUnpickler, reader
from jupyter_faas.core.watch import Watch

MAX_RESULT_DEFINITION_BYTES = 1 << 20
"""A larger definition is left out where the reader is expected to know the class."""


def _own(_cls: type) -> str:
    return ""


def whole(table: ClassTable, key_of: Callable[[type], str] = _own) -> Callable[[type], Any]:
    """Return a reducer that writes classes with their definition.

    Args:
        table: Knows the references.
        key_of: Tells classes apart that are defined the same but refer to other values; the
            empty key is for the classes of a package: they are what a reference means there.
    """

    def reduce(cls: type) -> Any:
        reference = table.reference(cls, class_digest)
        parts = definition.parts_of(cls)
        args = (*reference, key_of(cls), *parts[:-1])
        return begin_class, args, parts.state, None, None, end_class

    return reduce


def by_reference(
    table: ClassTable, known: Container[str], *, is_optional: bool = False
) -> Callable[[type], Any]:
    """Return a reducer that writes classes as references with a fallback.

    Args:
        table: Knows the references and keeps the definitions.
        known: Digests the reader has; these go without fallback.
        is_optional: A definition that cannot be made or is large is left out.
    """

    def reduce(cls: type) -> Any:
        reference = table.reference(cls, class_digest)
        fallback = Definition("", None)
        if reference.digest not in known:
            fallback = _fallback(cls, table, is_optional)
        return resolve_class, (*reference, *fallback)

    return reduce


def begin_class(
    table: ClassTable, module: str, qualname: str, digest: str, key: str, *parts: Any
) -> type:
    """Return the class a reference means here, or a bare one whose state follows."""
    reference = ClassReference(module, qualname, digest)
    found = table.find(reference, key, class_digest)
    if found is not None:
        return found
    made = table.begin(definition.build(*parts))
    table.remember(made, reference, key)
    return made


def end_class(table: ClassTable, cls: type, state: dict[str, Any]) -> None:
    """Fill a class that `begin_class` has made; leave one that was there as it is."""
    table.finish(cls, state)


def resolve_class(
    table: ClassTable, module: str, qualname: str, digest: str, key: str, blob: bytes | None
) -> type:
    """Return the class a reference means here, built from its definition if need be.

    Raises:
        NotSerializable: It is not known here and came without a definition.
    """
    reference = ClassReference(module, qualname, digest)
    found: type | None = table.find(reference, key, class_digest)
    if found is None:
        if blob is None:
            raise NotSerializable(
                f"class {qualname} is not defined here, or not the same: "
                "run the cell that defines it, or return plain values."
            )
        found = TableUnpickler(reader(memoryview(blob)), table).load()
    return found


def _fallback(cls: type, table: ClassTable, is_optional: bool) -> Definition:
    try:
        made = table.definition(cls, lambda one: _define(one, table))
    except Exception:
        if not is_optional:
            raise
        return Definition("", None)
    too_large = made.blob is not None and len(made.blob) > MAX_RESULT_DEFINITION_BYTES
    return Definition(made.key, None) if is_optional and too_large else made


def _define(cls: type, table: ClassTable) -> tuple[Definition, Callable[[], bool]]:
    chunks = Chunks()
    watch = Watch()
    ByValuePickler(chunks, whole(table, digest_of)).dump(cls)
    watch.add(cls)
    return Definition(digest_of(cls), b"".join(chunks)), watch.is_current
