"""Why a seat of Ray does not do what it should, in the project's words. Pure, and without Ray.

Ray's own texts speak of actors and scheduling strategies, with ids and advice for who writes them;
they go to the log. What a function's replica raised in a seat is told as it is.
"""

from __future__ import annotations

_NODE_LEFT = "the node of the seat has left."
_KNOWN = {
    "ActorUnschedulableError": _NODE_LEFT,
    "NodeDiedError": _NODE_LEFT,
    "ActorUnavailableError": "the node of the seat does not answer.",
    "RayActorError": "the process of the seat has ended.",
    "GetTimeoutError": "the seat has not answered in time.",
}
_MOST = 300


def reason(error: BaseException) -> str:
    """Return why, as the end of a sentence."""
    if told := _known(error):
        return told
    cause = getattr(error, "cause", None)
    return _short(str(cause if isinstance(cause, BaseException) else error))


def has_left(error: BaseException) -> bool:
    """Return whether it is because the seat's node has left: then nothing else is wrong."""
    return _known(error) == _NODE_LEFT


def _known(error: BaseException) -> str:
    # By name: Ray is not imported where this is tested, and its types move between modules.
    kinds = [kind for kind in type(error).__mro__ if kind.__module__.partition(".")[0] == "ray"]
    return next((_KNOWN[kind.__name__] for kind in kinds if kind.__name__ in _KNOWN), "")


def _short(text: str) -> str:
    return " ".join(text.split())[-_MOST:]
