from __future__ import annotations

import pytest

from jupyter_faas.core.errors import Forbidden, Unauthorized
from jupyter_faas.gateway.auth import Authority, Grant, call_token


@pytest.mark.parametrize(
    ("header", "grant"),
    [
        (b"Bearer token", Grant.ALL),
        (b"bearer token ", Grant.ALL),
        (b"Bearer " + call_token("token").encode(), Grant.CALLS),
        (b"Bearer tokem", Grant.NONE),
        (b"Bearer ", Grant.NONE),
        (b"Basic token", Grant.NONE),
        (b"Bearer \xff", Grant.NONE),
        (None, Grant.NONE),
    ],
)
def test_a_header_opens_what_its_token_opens(header, grant):
    assert Authority("token").grant(header) is grant


def test_a_refusal_says_whether_there_was_no_token_a_wrong_one_or_a_small_one():
    authority = Authority("token")
    assert authority.refusal(b"Bearer token", Grant.ALL) is None
    missing = authority.refusal(None, Grant.CALLS)
    wrong = authority.refusal(b"Bearer x", Grant.CALLS)
    assert isinstance(missing, Unauthorized)
    assert isinstance(wrong, Unauthorized)
    assert missing.detail != wrong.detail
    small = authority.refusal(b"Bearer " + authority.calls_token.encode(), Grant.ALL)
    assert isinstance(small, Forbidden)


def test_the_call_token_does_not_give_the_users_away_and_stays_the_same():
    assert call_token("a") == call_token("a") != call_token("b")
    assert "secret" not in call_token("secret")
