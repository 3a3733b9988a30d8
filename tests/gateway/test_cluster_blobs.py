"""Packages on a cluster: kept by a service, cached on disk, small ones without it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.gateway.blob_service import BlobClient, BlobService
from jupyter_faas.gateway.cluster_blobs import ClusterBlobs
from jupyter_faas.wire.upstream import request

KEY = b"k" * 32
SMALL = b"small"
LARGE = os.urandom(300_000)


def digest_of(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[BlobService]:
    service = BlobService(tmp_path / "kept", KEY)
    await service.start("127.0.0.1", 0)
    yield service
    await service.stop()


@pytest.fixture
async def client(service: BlobService) -> AsyncIterator[BlobClient]:
    client = BlobClient(f"127.0.0.1:{service.port}", KEY)
    yield client
    client.close()


def cache(tmp_path: Path, name: str, client: BlobClient | None) -> ClusterBlobs:
    return ClusterBlobs(tmp_path / name, client)


async def uploaded(blobs: ClusterBlobs, blob: bytes) -> str:
    digest = digest_of(blob)
    await blobs.keep(digest, blob)
    await blobs.share(digest)
    return digest


async def test_a_small_package_is_looked_for_without_the_service(tmp_path: Path) -> None:
    nobody = BlobClient("127.0.0.1:1", KEY, timeout_s=0.1)
    blobs = cache(tmp_path, "one", nobody)
    assert not await blobs.has(digest_of(SMALL), len(SMALL))
    nobody.close()


async def test_a_large_package_is_sent_from_its_file_and_not_held_in_memory(
    tmp_path: Path, client: BlobClient
) -> None:
    one, other = cache(tmp_path, "one", client), cache(tmp_path, "other", client)
    large, small = await uploaded(one, LARGE), await uploaded(one, SMALL)
    view = await other.view(large)
    assert isinstance(view, memoryview)
    assert view == LARGE
    assert await one.view(small) == SMALL
    assert await one.view("0" * 64) is None


async def test_what_is_uploaded_to_one_gateway_is_had_by_another(
    tmp_path: Path, client: BlobClient
) -> None:
    blob = LARGE
    one, other = cache(tmp_path, "one", client), cache(tmp_path, "other", client)
    digest = await uploaded(one, blob)
    assert other.size_bytes(digest) is None
    assert await other.has(digest)
    assert other.size_bytes(digest) == len(blob)
    assert await other.fetch(digest) == blob
    assert await other.fetch(digest_of(b"another")) is None


async def test_a_package_of_a_revision_needs_no_service(tmp_path: Path) -> None:
    blobs = cache(tmp_path, "one", None)

    async def inside(digest: str) -> bytes | None:
        return SMALL if digest == digest_of(SMALL) else None

    blobs.inside = inside
    assert await blobs.fetch(digest_of(SMALL)) == SMALL
    assert not await blobs.has(digest_of(LARGE))
    blobs.inside = None
    assert await blobs.fetch(digest_of(SMALL)) == SMALL


async def test_without_the_service_only_small_packages_are_taken(
    tmp_path: Path, service: BlobService
) -> None:
    away = BlobClient(f"127.0.0.1:{service.port}", KEY)
    await service.stop()
    for client in (away, None):
        blobs = cache(tmp_path, f"{client is None}", client)
        await uploaded(blobs, SMALL)
        with pytest.raises(ProviderError, match="blobs service"):
            await uploaded(blobs, LARGE)
    away.close()


async def test_nobody_without_the_key_gets_anything(
    service: BlobService, client: BlobClient
) -> None:
    await client.put(digest := digest_of(SMALL), SMALL)
    address = f"127.0.0.1:{service.port}"
    for headers in ([], [(b"Authorization", b"Bearer " + b"0" * 64)]):
        answer = await request(address, "GET", f"/v1/blobs/{digest}", headers, timeout_s=20)
        assert answer.status == 401
        assert SMALL not in answer.body
    assert (await request(address, "GET", "/healthz", timeout_s=20)).status == 200


async def test_what_no_revision_names_goes_after_an_hour(
    service: BlobService, tmp_path: Path, client: BlobClient
) -> None:
    blobs = cache(tmp_path, "one", client)
    kept, dropped, fresh = map(digest_of, (b"a", b"b", b"c"))
    for blob in (b"a", b"b", b"c"):
        await client.put(digest_of(blob), blob)
    old = time.time() - 4_000
    for digest in (kept, dropped):
        os.utime(service.blobs.path(digest), (old, old))
    await blobs.collect([kept], time.time())
    assert service.blobs.size_bytes(dropped) is None
    assert service.blobs.size_bytes(kept) is not None
    assert service.blobs.size_bytes(fresh) is not None


async def test_what_is_not_what_its_name_says_is_refused(client: BlobClient) -> None:
    with pytest.raises(ProviderError, match="not what its name says"):
        await client.put(digest_of(b"x"), b"y")
