"""A runner in a pod becomes what its gateway has sealed for this start of it, and nothing else."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jupyter_faas.core.errors import Forbidden, Unauthorized
from jupyter_faas.core.specialisation import SEALED, Hello
from jupyter_faas.runner.admission import OpenAdmission, Trust, admission_of, take_trust
from jupyter_faas.runner.sealed import SealedAdmission
from jupyter_faas.wire.sealing import public_key_of, seal
from tests.runner.harness import Zygote
from tests.runner.pods import SEED, STRANGERS_SEED, Pod, pod, told

SECRET = "s" * 32
PLAIN = "application/vnd.faas.specialisation"


# -- the lock alone


def sealed_to(lock: SealedAdmission, message: bytes = b"become") -> bytes:
    return seal(message, SEED, public_key=lock.public_key, nonce=lock.nonce, pod_uid="pod-1")


def lock() -> SealedAdmission:
    made = admission_of(Trust(public_key_of(SEED), "pod-1"))
    assert isinstance(made, SealedAdmission)
    return made


def test_an_envelope_opens_once():
    made = lock()
    envelope = sealed_to(made)
    assert made.open(SEALED.encode(), envelope) == b"become"
    with pytest.raises(Forbidden, match="before"):
        made.open(SEALED.encode(), envelope)
    assert made.open(SEALED.encode(), sealed_to(made)) == b"become", "a new one opens"


def test_each_start_has_its_own_key_and_nonce():
    first, second = lock(), lock()
    assert first.public_key != second.public_key
    assert first.nonce != second.nonce
    with pytest.raises(Forbidden):
        second.open(SEALED.encode(), sealed_to(first))


def test_what_is_not_sealed_is_not_taken_and_what_is_sealed_not_without_a_key():
    with pytest.raises(Unauthorized):
        lock().open(PLAIN.encode(), b"x")
    with pytest.raises(Forbidden):
        OpenAdmission().open(SEALED.encode(), b"x")
    assert OpenAdmission().open(b"", b"x") == b"x"


def test_only_a_generic_runner_with_a_lock_tells_what_to_seal_to():
    hello = Hello(version="1", python="3.11", state="generic")
    assert OpenAdmission().introduce(hello) == hello
    made = lock()
    assert base64.b64decode(made.introduce(hello).public_key) == made.public_key


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"FAAS_TRUST": ""}, "32 bytes"),
        ({"FAAS_TRUST": "no key!"}, "32 bytes"),
        ({"FAAS_TRUST": base64.b64encode(b"short").decode()}, "32 bytes"),
        ({"FAAS_TRUST": base64.b64encode(bytes(32)).decode()}, "FAAS_POD_UID"),
    ],
)
def test_a_trust_that_cannot_be_used_stops_the_runner(environ, words):
    with pytest.raises(ValueError, match=words):
        take_trust(environ)


def test_the_trust_is_taken_out_of_the_environment():
    environ = {"FAAS_TRUST": base64.b64encode(bytes(32)).decode() + "\n", "FAAS_POD_UID": "u"}
    assert take_trust(environ) == Trust(bytes(32), "u")
    assert environ == {}
    assert take_trust({}) is None


def test_a_runner_whose_trust_cannot_be_read_does_not_start():
    process = subprocess.run(
        [sys.executable, "-m", "jupyter_faas.runner", "serve", "--listen", "127.0.0.1:0"],
        env=os.environ | {"FAAS_TRUST": "nonsense"},
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert process.returncode != 0
    assert b"FAAS_TRUST must be" in process.stderr


# -- real processes over TCP


@pytest.fixture(scope="module")
def specialised() -> Iterator[Pod]:
    """A pod that serves `1 + 1`; the tests below only look at it from outside."""
    with pod("pod-s") as made:
        head, blob = told(lambda: 1 + 1, SECRET)
        assert made.send(made.seal(head), blob).status == 200
        yield made


def test_a_stranger_cannot_specialise_and_the_gateway_then_can():
    head, blob = told(lambda: ["mine"], SECRET)
    with pod("pod-1") as made, pod("pod-2") as other:
        first = made.hello()
        assert made.send(head, blob, PLAIN).status == 401, "plain"
        refused = {
            "a stranger's signature": made.seal(head, seed=STRANGERS_SEED),
            "another pod": made.seal(head, uid="pod-2"),
            "another start": made.seal(head, nonce=other.hello()["nonce"]),
            "another runner's key": made.seal(head, publicKey=other.hello()["publicKey"]),
            "cut": made.seal(head)[:-1],
            "plain under another name": head,
        }
        for what, envelope in refused.items():
            answer = made.send(envelope, blob)
            assert (answer.status, answer.problem["code"]) == (403, "forbidden"), what
        keys = ("state", "nonce", "publicKey")
        assert [made.hello()[key] for key in keys] == [first[key] for key in keys], "as before"

        envelope = made.seal(head)
        assert made.send(envelope, blob).status == 200
        assert made.call(SECRET).body == b'["mine"]'
        assert made.send(envelope, blob).status == 403, "the same again, from who has seen it"
        assert other.send(envelope, blob).status == 403, "the same to another pod"
        again = made.seal(head, **{key: first[key] for key in ("nonce", "publicKey")})
        assert made.send(again, blob).status == 200, "the gateway may say it again"
        changed, _ = told(lambda: 1, SECRET, revision_id="r2")
        changed = made.seal(changed, **{key: first[key] for key in ("nonce", "publicKey")})
        assert made.send(changed, blob).status == 409


def test_the_package_must_be_the_one_that_was_sealed():
    head, blob = told(lambda: 1, SECRET)
    with pod() as made:
        envelope = made.seal(head)
        assert made.send(envelope, blob[:-1] + b"x").status == 400
        assert made.hello()["state"] == "generic"
        assert made.send(made.seal(head), blob).status == 200


def test_a_stranger_learns_the_state_and_nothing_of_the_function(specialised: Pod):
    assert set(specialised.hello()) == {"version", "python", "state"}
    assert set(specialised.hello("wrong")) == {"version", "python", "state"}
    assert specialised.hello(SECRET)["revisionId"] == "r1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/call"),
        ("DELETE", "/v1/call/i1"),
        ("GET", "/v1/watch"),
        ("POST", "/v1/drain"),
        ("GET", "/"),
        ("POST", "/v1/runner"),
        ("GET", "/v1/specialise"),
        ("PUT", "/v1/no-such-thing"),
    ],
)
@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1], SECRET + "s"])
def test_every_other_path_needs_the_secret(specialised: Pod, method, path, secret):
    headers = {"Faas-Revision-Id": "r1"} | ({"Faas-Secret": secret} if secret else {})
    answer = specialised.request(method, path, headers)
    assert (answer.status, answer.problem["code"]) == (401, "unauthorized")


def test_another_revision_is_misdirected(specialised: Pod):
    assert specialised.call(SECRET, revision="r2").status == 421
    assert specialised.call(SECRET).body == b"2"


def test_a_generic_runner_takes_no_call():
    with pod() as made:
        assert made.call("").status == 401
        assert made.request("GET", "/v1/watch", {"Faas-Secret": ""}).status == 401


def test_code_in_a_pod_does_not_see_whom_its_runner_trusts():
    def look() -> list[str]:
        import os

        return sorted(name for name in os.environ if name.startswith("FAAS_"))

    head, blob = told(look, SECRET, env={"FAAS_REPLICA": "r-1"})
    with pod() as made:
        assert made.send(made.seal(head), blob).status == 200
        assert made.call(SECRET).body == b'["FAAS_REPLICA"]'


def test_without_trust_a_specialisation_is_taken_as_ever_and_a_sealed_one_refused(
    own_zygote: Zygote,
):
    replica = own_zygote.replica()
    assert "publicKey" not in replica.hello()
    head = {"Content-Type": SEALED}
    assert replica.request("POST", "/v1/specialise", head, b"\x01\0\0\0x").status == 403
    replica.specialise(lambda: 3)
    assert replica.call().value == 3
