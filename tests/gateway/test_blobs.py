from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_faas.core.errors import BadRequest, PayloadTooLarge, ProviderError
from jupyter_faas.core.model import Code, DeployRequest, RevisionSpec
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.retention import Housekeeper
from tests.gateway.conftest import Bench, until


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("??/*"))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path, max_bytes=8 << 20)


async def content(blobs: Blobs, name: str) -> bytes:
    found = await blobs.read(name)
    assert found is not None
    return b"".join([piece async for piece in found])


@pytest.mark.parametrize("sizes", [[], [0], [10], [1 << 20] * 5 + [3], [300_000] * 9])
async def test_a_blob_comes_back_as_it_was(blobs: Blobs, tmp_path: Path, sizes: list[int]) -> None:
    parts = [os.urandom(size) for size in sizes]
    name = digest(*parts)
    assert await blobs.put(name, chunks(*parts))
    assert not await blobs.put(name, chunks(b"not read"))
    assert await content(blobs, name) == b"".join(parts)
    assert blobs.size_bytes(name) == sum(sizes)
    assert files(tmp_path) == [name]
    assert os.stat(blobs.path(name)).st_mode & 0o077 == 0


async def test_a_broken_upload_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"x" * (2 << 20)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await blobs.put(digest(b"x"), cut())
    with pytest.raises(BadRequest, match="not what its name says"):
        await blobs.put(digest(b"x"), chunks(b"y"))
    with pytest.raises(PayloadTooLarge):
        await blobs.put(digest(b"x"), chunks(*[b"x" * (1 << 20)] * 9))
    assert files(tmp_path) == []
    assert blobs.size_bytes(digest(b"x")) is None
    assert await blobs.read(digest(b"x")) is None


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", "A" * 64, "0" * 63])
async def test_a_name_that_is_no_digest_reaches_no_file(blobs: Blobs, name: str) -> None:
    with pytest.raises(BadRequest):
        blobs.path(name)


async def test_what_nothing_refers_to_goes_after_an_hour(blobs: Blobs, tmp_path: Path) -> None:
    names = [digest(part) for part in (b"kept", b"old", b"fresh")]
    for part, name in zip((b"kept", b"old", b"fresh"), names, strict=True):
        await blobs.put(name, chunks(part))
    left = blobs.path(names[0]).parent / ".upload-left"
    left.write_bytes(b"x")
    old = time.time() - 4000
    for path in (blobs.path(names[0]), blobs.path(names[1]), left):
        os.utime(path, (old, old))
    assert await blobs.collect({names[0]}, time.time()) == 2
    assert files(tmp_path) == sorted([names[0], names[2]])


async def test_asking_for_a_blob_keeps_it(blobs: Blobs) -> None:
    name = digest(b"x")
    await blobs.put(name, chunks(b"x"))
    os.utime(blobs.path(name), (1.0, 1.0))
    assert blobs.size_bytes(name) == 1
    assert await blobs.collect((), time.time()) == 0


@pytest.mark.parametrize("size", [10, 3 << 20])
async def test_a_full_disk_is_said(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def no_room(*, prefix: str, dir: Path) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(dir / prefix)

    monkeypatch.setattr(tempfile, "mkstemp", no_room)
    content = bytes(size)
    with pytest.raises(ProviderError, match="the disk is full"):
        await blobs.put(digest(content), chunks(content))


async def test_a_disk_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.write_text("no directory")
    with pytest.raises(ProviderError, match="cannot be stored"):
        await Blobs(root).put(digest(b"x"), chunks(b"x"))


async def test_the_housekeeper_spares_what_revisions_name(bench: Bench) -> None:
    service = bench.service
    for part in (b"named", b"unnamed"):
        await service.blobs.put(digest(part), chunks(part))
        os.utime(service.blobs.path(digest(part)), (1.0, 1.0))
    spec = RevisionSpec(code=Code(digest=digest(b"named"), size_bytes=5, entry="f", python="3.11"))
    await service.registry.deploy("default", "f", DeployRequest(id="a", revision=spec))
    housekeeper = Housekeeper(service.blobs, service.registry, time.time)
    assert housekeeper.referenced() == {digest(b"named")}
    housekeeper.start()
    housekeeper._begin()
    await housekeeper.close()
    assert service.blobs.size_bytes(digest(b"unnamed")) is None
    assert service.blobs.size_bytes(digest(b"named")) == 5
    entry = service.registry.get("default", "f").latest
    await until(lambda: not entry.is_pending, "the replica is there")


async def test_a_failing_round_is_logged_and_another_follows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: object) -> int:
        raise ProviderError("A package cannot be stored: no.")

    monkeypatch.setattr(bench.service.blobs, "collect", full)
    housekeeper = Housekeeper(bench.service.blobs, bench.service.registry, time.time)
    housekeeper._begin()
    await housekeeper.close()
    assert "cleaned up" in caplog.text
    assert housekeeper._timer is not None
