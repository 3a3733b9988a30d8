"""Whose token is shown, until when, and what is said if there is none."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.client.kube.api import Refusal
from jupyter_faas.client.kube.credential import Token, new_token
from jupyter_faas.core.errors import FaasError, Forbidden, GatewayUnavailable, Unauthorized


class Api:
    """The two questions, answered without a cluster; the real ones are in tests/cluster."""

    context = "prod"

    def __init__(self, own: str = "", *, granted_s: int = 3600, status: int = 0) -> None:
        self._own, self._granted_s, self._status = own, granted_s, status
        self.asked: list[tuple[str, Any]] = []

    async def bearer(self) -> str:
        return self._own

    async def post(self, path: str, body: Any) -> Any:
        self.asked.append((path, body))
        if self._status:
            raise Refusal(self._status, "the server's words")
        return {"spec": {"expirationSeconds": self._granted_s}, "status": {"token": "made"}}


def clock() -> float:
    return 1000.0


async def test_the_persons_own_token_comes_first_and_is_looked_at_again():
    api = Api("own")
    assert await new_token(api, "platform", clock) == Token("own", 1060.0)  # type: ignore[arg-type]
    assert api.asked == []


async def test_else_one_is_made_and_used_for_three_quarters_of_what_was_granted():
    api = Api(granted_s=800)
    assert await new_token(api, "platform", clock) == Token("made", 1600.0)  # type: ignore[arg-type]
    assert api.asked[0][0] == (
        "/api/v1/namespaces/platform/serviceaccounts/jupyter-faas-user/token"
    )


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, Unauthorized, "log in again"),
        (403, Forbidden, "token=…"),
        (404, GatewayUnavailable, "jupyter-faas install"),
        (500, GatewayUnavailable, "the server's words"),
    ],
)
async def test_a_refusal_says_what_to_do(status: int, kind: type[FaasError], said: str):
    with pytest.raises(kind, match=said):
        await new_token(Api(status=status), "platform", clock)  # type: ignore[arg-type]


def test_a_token_is_in_no_repr():
    assert "secret" not in repr(Token("secret", 1.0))
