from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.gateway.keys import Keys
from jupyter_faas.providers.base import Seal
from jupyter_faas.wire.sealing import open_sealed

KEYS = Keys.make()


def test_keys_are_the_same_after_they_were_stored_and_read():
    again = Keys.read(KEYS.stored())
    assert again.public_key == KEYS.public_key
    assert again.replica_secret("r1") == KEYS.replica_secret("r1")
    assert again.call_token("default") == KEYS.call_token("default")


def test_two_installations_and_two_replicas_and_two_namespaces_share_nothing():
    other = Keys.make()
    assert other.public_key != KEYS.public_key
    assert other.replica_secret("r1") != KEYS.replica_secret("r1") != KEYS.replica_secret("r2")
    assert other.call_token("a") != KEYS.call_token("a") != KEYS.call_token("b")


@pytest.mark.parametrize("wrong", [{}, {"calls.key": b"short"}, {"signing.key": b""}])
def test_a_damaged_secret_is_not_used(wrong):
    stored = KEYS.stored() | wrong if wrong else {}
    with pytest.raises(ProviderError, match=r"no usable \w+\.key"):
        Keys.read(stored)


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True))
def test_a_call_token_names_its_namespace_and_no_other(namespace):
    token = KEYS.call_token(namespace).encode()
    assert KEYS.namespace_of(token) == namespace
    assert Keys.make().namespace_of(token) is None
    mac = token.rpartition(b".")[2]
    assert KEYS.namespace_of(b"faasc.other-" + namespace.encode() + b"." + mac) is None


@pytest.mark.parametrize("token", [b"", b"faasc.", b"faasc..", b"faasc.a.b", b"faasc.\xff.\xff"])
def test_what_is_no_call_token_names_nothing(token):
    assert KEYS.namespace_of(token) is None


def test_what_they_seal_opens_with_their_public_key():
    runner = X25519PrivateKey.generate()
    seal = Seal(public_key=runner.public_key().public_bytes_raw(), nonce=b"n", pod_uid="p")
    envelope = KEYS.seal(b"told", seal)
    trusted = KEYS.public_key
    assert open_sealed(envelope, runner, trusted=trusted, nonce=b"n", pod_uid="p") == b"told"
    with pytest.raises(ProviderError, match="cannot be used"):
        KEYS.seal(b"told", Seal(public_key=b"x", nonce=b"n", pod_uid="p"))


def test_no_key_is_in_what_is_printed():
    assert not any(key.hex() in repr(KEYS) for key in KEYS.stored().values())
    assert "\\x" not in repr(KEYS)
