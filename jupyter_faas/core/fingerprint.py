"""The id of a revision: equal code and settings, equal id, in every process.

Counts: code and what it captures (core/canonical.py), local modules by what they do and their
plain data, the Python minor, and the settings that change what runs. Does not count: file names,
lines and comments, scaling, traffic, schedule, versions of installed packages, and of the place
the module path and the shell's variables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from jupyter_faas.core.canonical import Canonical
from jupyter_faas.core.model import Code, Place, RevisionSpec
from jupyter_faas.core.modules import ModuleSource
from jupyter_faas.core.source import parse
from jupyter_faas.core.walk import room_to_recurse


def code_fingerprint(
    entry: Any, sources: Mapping[str, ModuleSource], plain: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the digest of code.

    Args:
        entry: The function or class.
        sources: Local modules by name.
        plain: Module → name → plain data that its globals hold.
    """
    walk = Canonical()
    with room_to_recurse():
        walk.add(entry)
    for name in sorted(sources):
        walk.put("source", name.encode())
        walk.add_code(parse(sources[name].source).code)
        for variable, value in sorted(plain.get(name, {}).items()):
            walk.put("variable", variable.encode())
            walk.add(value)
    return walk.hexdigest()


def revision_id(code_digest: str, spec: RevisionSpec) -> str:
    """Return the fingerprint of a revision, 64 hex digits.

    Args:
        code_digest: From `code_fingerprint`.
        spec: Its settings; of `spec.code` only the entry's name, kind and Python count.
    """
    code = Code(
        digest=code_digest, size_bytes=0, entry="", kind=spec.code.kind, python=spec.code.python
    )
    place = spec.place
    if place is not None:
        place = Place(interpreter=place.interpreter, cwd=place.cwd)
    what_runs = msgspec.structs.replace(spec, code=code, place=place)
    return hashlib.sha256(msgspec.json.encode(what_runs, order="deterministic")).hexdigest()
