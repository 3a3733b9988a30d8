"""What holds for all tests."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from jupyter_faas.gateway.keeping import Keeping

# A shell that starts us in the background has us ignore interrupts; tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something about the machine only.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """An S3 server; gives the variables that a process needs to use it."""
    from tests.gateway.object_store import s3_server

    with s3_server() as environment:
        yield environment


@pytest.fixture
def bucket_url(s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where this test may keep things in a bucket: nothing is there yet."""
    from tests.gateway.object_store import BUCKET

    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.parent.name}/{tmp_path.name}"


@pytest.fixture(params=["volume", "s3", "directory"])
def keep_in(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Keeping]:
    """Return what keeps calls and maps, each time anew: the medium is one."""
    from jupyter_faas.gateway.bucket.keeping import InBucket
    from jupyter_faas.gateway.keeping import OnVolume

    if request.param == "volume":
        return lambda: OnVolume(tmp_path / "kept.db", time.time)
    where = request.getfixturevalue("bucket_url") if request.param == "s3" else ""
    url = where or f"file://{tmp_path}/kept"
    return lambda: InBucket(url, tmp_path / "copy.db", time.time)
