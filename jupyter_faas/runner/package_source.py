"""The package a front keeps: to load it again after a worker was lost."""

from __future__ import annotations

import hashlib
import os

from jupyter_faas.core.errors import BadRequest, ProviderError
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.runner.channel import MEMFD_BYTES
from jupyter_faas.runner.intake import Body


class PackageSource:
    """A package with the digest it was announced with: in memory if small, else a descriptor.

    Args:
        data: All of it, or nothing if `fd` has it.
        fd: A file or memfd with all of it; owned.
    """

    def __init__(self, data: bytes, fd: int = -1) -> None:
        self.data = data
        self.fd = fd

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def package_of(wanted: Specialisation, body: Body) -> PackageSource:
    """Return the package of a specialisation, its digest checked.

    Args:
        wanted: Names the digest, and perhaps a file on this machine.
        body: The blob otherwise; its digest was computed as it arrived.

    Raises:
        ProviderError: The file cannot be read.
        BadRequest: The bytes are not those announced.
    """
    if wanted.package_path is not None:
        return _from_file(wanted.package_path, wanted.package_digest)
    _check(body.hexdigest(), wanted.package_digest)
    if body.fd >= 0:
        return PackageSource(b"", body.hand_over())
    return PackageSource(body.take_bytes())


def _from_file(path: str, digest: str) -> PackageSource:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size < MEMFD_BYTES:
                data = file.read()
                _check(hashlib.sha256(data).hexdigest(), digest)
                return PackageSource(data)
            _check(hashlib.file_digest(file, "sha256").hexdigest(), digest)
            return PackageSource(b"", os.dup(file.fileno()))
    except OSError as error:
        raise ProviderError(f"The package {path!r} cannot be read: {error.strerror}.") from error


def _check(found: str, announced: str) -> None:
    if found != announced:
        raise BadRequest(f"The package is not the one announced: {found[:12]} ≠ {announced[:12]}.")
