"""Who may do what on a cluster: its tokens, its RBAC.

A token that is known is judged at once, from memory (`verdicts.py`); one that is not is reviewed:
who bears it, then whether they may. Everybody who waits for the same answer waits for the same
question. While the API server is away what was granted goes on, so that warm calls keep working;
tokens it has not seen are 503. Replicas have call tokens, which need no review at all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from jupyter_faas.core.errors import FaasError, Forbidden, GatewayUnavailable, Unauthorized
from jupyter_faas.gateway.acts import Act
from jupyter_faas.gateway.auth import ALWAYS, Pass, calls_only, no_token
from jupyter_faas.gateway.keys import CALL_TOKEN_PREFIX, Keys
from jupyter_faas.gateway.verdicts import FRESH_S, Age, Bounded, Key, Verdicts
from jupyter_faas.providers.kubernetes.reviews import Identity
from jupyter_faas.wire.tokens import bearer_of

ASK_S = 2.0
"""One question to the API server may take so long; then it counts as away."""
MOST_WAITING = 256
"""Questions that may be open before a token that is not known is 503."""
_AT_ONCE = 8
_WHILE_ASKING_S = 1.0
_CALL_TOKEN = CALL_TOKEN_PREFIX.encode()

T = TypeVar("T")


class Reviewer(Protocol):
    """The cluster, as far as it is asked; see `providers/kubernetes/reviews.py`."""

    async def identify(self, token: str) -> Identity | None:
        """Return who bears a token, None: nobody."""

    async def may(
        self, who: Identity, verb: str, namespace: str, part: str = "", path: str = ""
    ) -> bool:
        """Return whether somebody may do something."""


class _Bearer(NamedTuple):
    who: Identity | None
    asked_s: float


class ClusterAuthority:
    """Judges `Authorization` headers on a cluster; see `auth.Judge`.

    Args:
        reviewer: Knows tokens and permissions.
        keys: Of call tokens.
        clock: Monotonic seconds.
        most: Verdicts that are remembered.
    """

    is_namespaced = True

    def __init__(
        self, reviewer: Reviewer, keys: Keys, clock: Callable[[], float], *, most: int = 4096
    ) -> None:
        self.call_token = keys.call_token
        self._reviewer = reviewer
        self._keys = keys
        self._clock = clock
        self._verdicts = Verdicts(most)
        self._bearers: Bounded[bytes, _Bearer] = Bounded(most)
        self._open: dict[bytes | Key, asyncio.Task[Any]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._is_away = False

    def judge(self, header: bytes | None, act: Act) -> Pass | None:
        """Return a pass from memory; None: it must be reviewed. See `Judge`."""
        token = bearer_of(header)
        if token is None:
            raise no_token()
        if token.startswith(_CALL_TOKEN):
            return self._judge_call_token(token, act)
        key = (hashlib.sha256(token).digest(), act)
        now_s = self._clock()
        granted = self._verdicts.granted(key)
        if granted is not None:
            age = granted.age(now_s)
            if age is Age.FRESH:
                return granted.passed
            if age is Age.AGEING or self._is_away:
                self._ask_again(token, key)
                return granted.stretch(now_s, _WHILE_ASKING_S)
            return None
        refusal = self._verdicts.refusal(key, now_s)
        if refusal is not None:
            raise refusal
        return None

    async def review(self, header: bytes | None, act: Act) -> Pass:
        """Ask the cluster; see `Judge`."""
        token = bearer_of(header)
        if token is None:
            raise no_token()
        key = (hashlib.sha256(token).digest(), act)
        if key not in self._open and len(self._open) >= MOST_WAITING:
            raise GatewayUnavailable("Too many unknown tokens are being reviewed.")
        return await self._shared(key, lambda: self._decide(token, key))

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = tuple(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _judge_call_token(self, token: bytes, act: Act) -> Pass:
        namespace = self._keys.namespace_of(token)
        if namespace is None:
            raise Unauthorized("This call token is not one of this cluster's gateways.")
        if not act.is_call:
            raise calls_only()
        if act.namespace != namespace:
            raise Forbidden(f"This token calls functions of namespace `{namespace}` only.")
        return ALWAYS

    # -- asking ---------------------------------------------------------------------------------

    def _ask_again(self, token: bytes, key: Key) -> None:
        if key not in self._open and len(self._open) < MOST_WAITING:
            self._begin(key, self._decide(token, key))

    async def _shared(self, key: bytes | Key, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what is being found out already, or begin to; one who leaves ends nothing."""
        task = self._open.get(key)
        if task is None:
            task = self._begin(key, work())
        return await asyncio.shield(task)

    def _begin(self, key: bytes | Key, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._open[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: bytes | Key, task: asyncio.Task[Any]) -> None:
        self._open.pop(key, None)
        if not task.cancelled():
            task.exception()  # it has been said to those who wait, or concerns nobody

    async def _decide(self, token: bytes, key: Key) -> Pass:
        """Ask both questions, remember the answer; while nobody answers, the last one goes on."""
        try:
            asked_s = await self._find_out(token, key)
        except GatewayUnavailable:
            granted = self._verdicts.granted(key)
            if granted is None:
                raise
            return granted.stretch(self._clock())
        except (Unauthorized, Forbidden) as error:
            self._verdicts.refuse(key, error, self._clock())
            raise
        return self._verdicts.grant(key, asked_s)

    async def _find_out(self, token: bytes, key: Key) -> float:
        """Return when it was asked (the older of both) what is allowed; raise what is not."""
        digest, act = key
        bearer = await self._shared(digest, lambda: self._bearer(token, digest))
        if bearer.who is None:
            raise Unauthorized("The cluster does not know this token (any more).")
        if act.verb and not await self._may(bearer.who, act):
            raise Forbidden(_missing(bearer.who.username, act), **act._asdict())
        return bearer.asked_s

    async def _bearer(self, token: bytes, digest: bytes) -> _Bearer:
        now_s = self._clock()
        known = self._bearers.get(digest)
        # Half of what a grant may be old: the two questions together stay below it.
        if known is not None and known.who is not None and now_s - known.asked_s < FRESH_S / 2:
            return known
        text = token.decode("latin-1")
        who = await self._answer(lambda: self._reviewer.identify(text))
        return self._bearers.put(digest, _Bearer(who, now_s))

    async def _may(self, who: Identity, act: Act) -> bool:
        asked = (act.verb, act.namespace, act.part, act.path)
        return await self._answer(lambda: self._reviewer.may(who, *asked))

    async def _answer(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask, a few questions at a time, each for a while."""
        async with self._turns:
            try:
                async with asyncio.timeout(ASK_S):
                    answer = await ask()
            except TimeoutError:
                self._is_away = True
                raise GatewayUnavailable("The Kubernetes API does not answer in time.") from None
            except FaasError as error:
                self._is_away = isinstance(error, GatewayUnavailable)
                raise
        self._is_away = False
        return answer


def _missing(username: str, act: Act) -> str:
    """Return the sentence that says what somebody's Role lacks."""
    if act.path:
        return f"`{username}` may not read {act.path}: a ClusterRole must allow `{act.verb}` on it."
    what = "functions" + (f"/{act.part}" if act.part else "")
    return (
        f"`{username}` may not {act.verb} {what} in namespace `{act.namespace}`: a Role there must "
        f"allow the verb `{act.verb}` on `{what}` of the API group jupyter-faas.io."
    )
