from __future__ import annotations

import pytest

from jupyter_faas.core.errors import Forbidden
from jupyter_faas.gateway.acts import Act, call_of
from jupyter_faas.gateway.verdicts import AGAIN_S, FRESH_S, REFUSED_S, Age, Bounded, Verdicts

KEY = (b"digest", call_of("default"))
OTHER = (b"digest", Act("get", "default"))


@pytest.mark.parametrize(
    ("after_s", "age"),
    [
        (0, Age.FRESH),
        (AGAIN_S - 0.1, Age.FRESH),
        (AGAIN_S, Age.AGEING),
        (FRESH_S - 0.1, Age.AGEING),
        (FRESH_S, Age.OLD),
        (1e6, Age.OLD),
    ],
)
def test_a_grant_ages(after_s, age):
    verdicts = Verdicts()
    passed = verdicts.grant(KEY, 100.0)
    granted = verdicts.granted(KEY)
    assert granted is not None
    assert granted.age(100.0 + after_s) is age
    assert (passed.until_s > 100.0 + after_s) == (age is Age.FRESH)
    assert verdicts.granted(OTHER) is None, "one act is not another"


def test_a_pass_that_somebody_keeps_is_renewed_and_taken_back():
    verdicts = Verdicts()
    passed = verdicts.grant(KEY, 0.0)
    assert verdicts.grant(KEY, 50.0) is passed
    assert passed.until_s == 50.0 + AGAIN_S
    verdicts.refuse(KEY, Forbidden("no"), 60.0)
    assert passed.until_s < 60.0
    assert verdicts.granted(KEY) is None


def test_a_refusal_holds_for_a_while_and_ends_with_a_grant():
    verdicts = Verdicts()
    verdicts.refuse(KEY, Forbidden("no", verb="get"), 10.0)
    first, second = verdicts.refusal(KEY, 10.0), verdicts.refusal(KEY, 10.0 + REFUSED_S - 0.1)
    assert first is not second, "an error is raised once"
    assert (str(first), first.extra) == ("no", {"verb": "get"})
    assert verdicts.refusal(KEY, 10.0 + REFUSED_S) is None
    verdicts.refuse(KEY, Forbidden("no"), 20.0)
    verdicts.grant(KEY, 21.0)
    assert verdicts.refusal(KEY, 21.0) is None


def test_a_grant_is_stretched_while_nobody_can_be_asked_and_never_shortened():
    verdicts = Verdicts()
    passed = verdicts.grant(KEY, 0.0)
    granted = verdicts.granted(KEY)
    granted.stretch(10.0, 1.0)
    assert passed.until_s == AGAIN_S
    granted.stretch(1000.0, 5.0)
    assert passed.until_s == 1005.0
    assert granted.age(1000.0) is Age.OLD, "its age is what it was"


def test_thousands_of_wrong_tokens_displace_no_good_one():
    verdicts = Verdicts(most=10)
    verdicts.grant(KEY, 0.0)
    for number in range(1000):
        verdicts.refuse((b"%d" % number, KEY[1]), Forbidden("no"), 0.0)
    assert verdicts.granted(KEY) is not None
    assert len(verdicts) == 11


def test_what_was_used_last_is_kept():
    kept = Bounded(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)
