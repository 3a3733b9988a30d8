"""What is sealed to one start of one runner opens there, once it is whole, and nowhere else."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.wire import sealing
from jupyter_faas.wire.sealing import SealBroken, open_sealed, public_key_of, seal

SEED = b"\x07" * 32
OTHER_SEED = b"\x08" * 32
RUNNER = X25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER_RUNNER = X25519PrivateKey.from_private_bytes(b"\x02" * 32)
PUBLIC = RUNNER.public_key().public_bytes_raw()
NONCE, OTHER_NONCE = b"n" * 32, b"m" * 32
MESSAGE = b"secret: hunter2"


def sealed(message: bytes = MESSAGE, *, seed=SEED, nonce=NONCE, pod_uid="pod-1") -> bytes:
    return seal(message, seed, public_key=PUBLIC, nonce=nonce, pod_uid=pod_uid)


def opened(envelope: bytes, own=RUNNER, *, seed=SEED, nonce=NONCE, pod_uid="pod-1") -> bytes:
    return open_sealed(envelope, own, trusted=public_key_of(seed), nonce=nonce, pod_uid=pod_uid)


@given(st.binary(max_size=5000))
@settings(max_examples=50)
def test_what_was_sealed_comes_out_as_it_was(message):
    assert opened(sealed(message)) == message


def test_nothing_of_the_message_is_readable_and_no_two_envelopes_are_alike():
    first, second = sealed(), sealed()
    assert b"hunter2" not in first
    assert first != second


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"own": OTHER_RUNNER},
        {"nonce": OTHER_NONCE},
        {"pod_uid": "pod-2"},
        {"pod_uid": ""},
        {"seed": OTHER_SEED},
    ],
    ids=["another key", "another start", "another pod", "no pod", "another gateway is trusted"],
)
def test_it_opens_nowhere_else(elsewhere):
    with pytest.raises(SealBroken, match="not made"):
        opened(sealed(), **elsewhere)


def test_a_stranger_who_knows_all_that_is_public_cannot_make_one():
    with pytest.raises(SealBroken):
        opened(sealed(seed=OTHER_SEED))


@given(st.integers(0, len(sealed()) * 8 - 1))
def test_one_flipped_bit_anywhere_is_noticed(bit):
    envelope = bytearray(sealed())
    envelope[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        opened(bytes(envelope))


@given(st.integers(0, len(sealed()) - 1))
def test_an_envelope_that_was_cut_is_noticed(size):
    with pytest.raises(SealBroken):
        opened(sealed()[:size])


def test_an_envelope_with_something_added_is_noticed():
    with pytest.raises(SealBroken):
        opened(sealed() + b"x")


@given(st.binary(max_size=300))
def test_noise_is_refused(noise):
    with pytest.raises(SealBroken):
        opened(noise)
    with pytest.raises(SealBroken):
        opened(sealed()[:4] + noise)


def test_another_version_is_named_as_such():
    with pytest.raises(SealBroken, match="version"):
        opened(b"FSL\x02" + sealed()[4:])


@pytest.mark.parametrize("key", [bytes(32), b"short"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(SealBroken, match="no public key"):
        seal(MESSAGE, SEED, public_key=key, nonce=NONCE, pod_uid="p")


def test_the_shared_key_is_hkdf_as_the_standard_has_it():
    context = b"context"
    theirs = OTHER_RUNNER.public_key().public_bytes_raw()
    shared = RUNNER.exchange(X25519PublicKey.from_public_bytes(theirs))
    standard = HKDF(
        algorithm=hashes.SHA256(), length=32, salt=hashlib.sha256(context).digest(), info=context
    ).derive(shared)
    assert sealing._shared_key(RUNNER, theirs, context) == standard
