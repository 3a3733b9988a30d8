"""A package: the code of one revision as one blob.

Sections (core/sections.py): a manifest that anybody may read (msgpack), the plain data of local
modules (pickle), the entry (pickle), its out-of-band buffers. Only a runner's worker unpickles,
after the blob's digest was checked. Inline source (core/inline.py) is a manifest alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import msgspec

from jupyter_faas.core.errors import EnvironmentMismatch
from jupyter_faas.core.model import Kind, Value
from jupyter_faas.core.modules import ModuleSource
from jupyter_faas.core.sections import Buffer, SectionError, pack, total_bytes, unpack

FORMAT = 2
"""The newest format that is understood here."""
CAPTURED_FORMAT = 1
INLINE_FORMAT = 2
"""What packages of inline source say, so that a runner from before says that it is too old."""


class Manifest(Value, kw_only=True):
    """What is in a package, readable without unpickling."""

    format: int = CAPTURED_FORMAT
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
    inline: str | None = None
    """The code itself, as source text; the entry is `qualname` in it. Then nothing is pickled."""


class ManifestPackage:
    """A package that is nothing but its manifest: inline source.

    Args:
        manifest: What is in it.
        sections: What follows the manifest; each given as chunks.
    """

    def __init__(self, manifest: Manifest, sections: Sequence[Sequence[Buffer]] = ()) -> None:
        self.manifest = manifest
        self._parts = pack([[msgspec.msgpack.encode(manifest)], *sections])

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


class Package(ManifestPackage):
    """A package with pickled code, to send.

    Args:
        manifest: What is in it.
        plain: Pickle of the plain data of local modules.
        entry: Chunks of the pickle of the entry, then its buffers.
    """

    def __init__(
        self, manifest: Manifest, plain: bytes, entry: Sequence[Buffer], buffers: Sequence[Buffer]
    ) -> None:
        super().__init__(manifest, [[plain], entry, *([buffer] for buffer in buffers)])


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
        made = "is written for" if manifest.inline is not None else "was captured with"
        raise EnvironmentMismatch(
            f"{manifest.name} {made} Python {manifest.python} and this runner is "
            f"{python}: bytecode fits one minor version only."
        )
    return manifest, sections


def manifest_of(blob: Buffer) -> Manifest | None:
    """Return what a package says of itself, whichever Python made it; None: it is no package."""
    try:
        return msgspec.msgpack.decode(unpack(blob)[0], type=Manifest)
    except (SectionError, IndexError, msgspec.MsgspecError):
        return None


def inline_source(blob: Buffer) -> str | None:
    """Return the source text of a package, or None if it is a captured one or no package."""
    manifest = manifest_of(blob)
    return None if manifest is None else manifest.inline
