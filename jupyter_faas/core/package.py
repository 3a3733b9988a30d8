"""A package: the code of one revision as one blob.

Sections (core/sections.py): a manifest that anybody may read (msgpack), the plain data of local
modules (pickle), the entry (pickle), its out-of-band buffers. Only a runner's worker unpickles,
after the blob's digest was checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import msgspec

from jupyter_faas.core.errors import EnvironmentMismatch
from jupyter_faas.core.model import Kind, Value
from jupyter_faas.core.modules import ModuleSource
from jupyter_faas.core.sections import Buffer, pack, total_bytes, unpack

FORMAT = 1


class Manifest(Value, kw_only=True):
    """What is in a package, readable without unpickling."""

    format: int = FORMAT
    python: str
    """Minor version of the Python that made it: bytecode fits no other."""
    name: str
    """Name of the function or class, for people."""
    kind: Kind
    methods: dict[str, Kind] = {}
    module: str | None = None
    """The entry is this module's attribute `qualname`; None: it is pickled by value."""
    qualname: str = ""
    sources: tuple[ModuleSource, ...] = ()
    files: dict[str, str] = {}
    """Text of cells and scripts by file name, for tracebacks."""


class Package:
    """A package to send.

    Args:
        manifest: What is in it.
        plain: Pickle of the plain data of local modules.
        entry: Chunks of the pickle of the entry, then its buffers.
    """

    def __init__(
        self, manifest: Manifest, plain: bytes, entry: Sequence[Buffer], buffers: Sequence[Buffer]
    ) -> None:
        self.manifest = manifest
        head = msgspec.msgpack.encode(manifest)
        self._parts = pack([[head], [plain], entry, *([buffer] for buffer in buffers)])

    def parts(self) -> list[Buffer]:
        """Return the buffers of the blob, to be sent in order."""
        return list(self._parts)

    def release(self) -> None:
        """Let the bytes go once they are uploaded; digest and size stay."""
        _ = self.digest, self.size_bytes
        self._parts = []

    @cached_property
    def digest(self) -> str:
        """sha256 of the blob, 64 hex digits."""
        digest = hashlib.sha256()
        for part in self._parts:
            digest.update(part)
        return digest.hexdigest()

    @cached_property
    def size_bytes(self) -> int:
        """Length of the blob."""
        return total_bytes(self._parts)


def open_package(blob: Buffer, python: str) -> tuple[Manifest, list[memoryview]]:
    """Return the manifest of a blob, and its other sections: plain data, entry, buffers.

    Raises:
        EnvironmentMismatch: It was made by another Python minor, or is of an unknown format.
        sections.SectionError: It is no package.
    """
    head, *sections = unpack(blob)
    manifest = msgspec.msgpack.decode(head, type=Manifest)
    if manifest.format > FORMAT:
        raise EnvironmentMismatch(
            f"{manifest.name} was packed by a newer jupyter_faas (format {manifest.format}); "
            f"this runner reads up to {FORMAT}: update it."
        )
    if manifest.python != python:
        raise EnvironmentMismatch(
            f"{manifest.name} was captured with Python {manifest.python} and this runner is "
            f"{python}: bytecode fits one minor version only."
        )
    return manifest, sections
