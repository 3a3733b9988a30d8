import os
import stat

import pytest

from jupyter_faas.wire.tokens import (
    UnsafeFile,
    bearer_of,
    is_bearer,
    new_token,
    read_secret,
    write_secret,
)


def test_tokens_are_long_and_differ():
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 43


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bearer  abc ", b"abc"),
        (b"BEARER abc", b"abc"),
        (b"Basic abc", None),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"", None),
        (None, None),
    ],
)
def test_the_token_of_a_header(header, token):
    assert bearer_of(header) == token


def test_only_the_same_token_passes():
    assert is_bearer(b"Bearer abc", b"abc")
    for header in (b"Bearer abd", b"Bearer ab", b"Bearer abcd", b"Bearer \xff", b"abc", b"", None):
        assert not is_bearer(header, b"abc")
    assert not is_bearer(b"Bearer ", b"")


def test_a_secret_file_is_this_users_alone(tmp_path):
    path = tmp_path / "token"
    before = os.umask(0)
    try:
        write_secret(path, "first")
        write_secret(path, "second")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_secret(path) == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_others_can_read_is_refused(tmp_path):
    path = tmp_path / "token"
    write_secret(path, "x")
    path.chmod(0o640)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        read_secret(path)


def test_a_secret_of_another_user_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "token"
    write_secret(path, "x")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UnsafeFile, match="another user"):
        read_secret(path)


def test_a_link_is_not_followed(tmp_path):
    write_secret(tmp_path / "token", "x")
    (tmp_path / "link").symlink_to(tmp_path / "token")
    with pytest.raises(OSError):
        read_secret(tmp_path / "link")


def test_a_failed_write_leaves_the_old_secret(tmp_path, monkeypatch):
    path = tmp_path / "token"
    write_secret(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_secret(path, "\ud800")
    assert read_secret(path) == "old"
    assert list(tmp_path.iterdir()) == [path]
