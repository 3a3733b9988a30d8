"""Packages in an object store: a real S3 server on the loopback, and a directory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.gateway.cluster_blobs import ClusterBlobs
from jupyter_faas.gateway.object_blobs import ObjectBlobs
from tests.gateway.object_store import BUCKET, s3_server

LARGE = os.urandom(300_000)
DIGEST = hashlib.sha256(LARGE).hexdigest()
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture(params=["s3", "file"])
def url(
    request: pytest.FixtureRequest,
    server: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Where packages are kept: new for each test."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    if request.param == "file":
        return f"file://{tmp_path}/kept"
    return f"s3://{BUCKET}/{tmp_path.name}"


def now_and(seconds: float) -> Callable[[], float]:
    import time

    return lambda: time.time() + seconds


async def test_what_is_uploaded_to_one_gateway_is_had_by_another(url, tmp_path):
    one = ClusterBlobs(tmp_path / "one", ObjectBlobs(url, now_and(0)))
    other = ClusterBlobs(tmp_path / "other", ObjectBlobs(url, now_and(0)))
    await one.keep(DIGEST, LARGE)
    await one.share(DIGEST)
    assert await other.fetch(DIGEST) == LARGE
    assert await other.fetch("0" * 64) is None


async def test_a_package_nobody_names_goes_after_an_hour_and_others_stay(url):
    store = ObjectBlobs(url, now_and(0))
    await store.put(DIGEST, LARGE)
    await store.put("1" * 64, b"other")
    await store.collect([])
    assert await store.has(DIGEST), "it was written just now"
    await ObjectBlobs(url, now_and(HOUR_S + 5)).collect([DIGEST])
    assert await store.get(DIGEST) == LARGE
    assert await store.get("1" * 64) is None


async def test_a_package_that_is_wanted_again_is_kept_for_another_hour(url, tmp_path):
    store = ObjectBlobs(url, now_and(0))
    await store.put(DIGEST, LARGE)
    later = ObjectBlobs(url, now_and(HOUR_S))
    assert not await later.has(DIGEST), "as good as gone: it is written anew"


async def test_what_is_not_the_package_is_not_given(url, tmp_path):
    await ObjectBlobs(url, now_and(0)).put(DIGEST, b"something else")
    blobs = ClusterBlobs(tmp_path / "one", ObjectBlobs(url, now_and(0)))
    with pytest.raises(ProviderError, match="is not that package"):
        await blobs.fetch(DIGEST)


async def test_only_packages_are_let_go_of(url, tmp_path, server):
    import obstore
    from obstore.store import from_url

    store = from_url(url, client_options={"allow_http": True}) if url[0] == "s" else from_url(
        url, mkdir=True
    )  # fmt: skip
    obstore.put(store, "readme.txt", b"somebody's")
    await ObjectBlobs(url, now_and(HOUR_S * 2)).collect([])
    assert bytes(obstore.get(store, "readme.txt").bytes()) == b"somebody's"


async def test_a_bucket_that_is_not_there_is_said_to_be(server, monkeypatch):
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    store = ObjectBlobs("s3://no-such-bucket/here", now_and(0))
    for ask in (store.get, lambda digest: store.put(digest, b"x")):
        with pytest.raises(ProviderError, match="there is no such bucket"):
            await ask(DIGEST)


@pytest.mark.parametrize("url", ["ftp://host/here", "s3:/bucket"])
def test_a_url_that_cannot_be_used_says_so(url):
    with pytest.raises(InvalidSpec, match="FAAS_BLOB_URL"):
        ObjectBlobs(url, now_and(0))
