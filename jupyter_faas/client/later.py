"""Surfaces that are named in the API and not there yet: each says so in a sentence."""

from __future__ import annotations

from typing import Any, NoReturn


class NotYet:
    """The fan-out and spawning faces of a remote function."""

    def map(self, *iterables: Any, **options: Any) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("map is not available yet: call .remote(x) for each input.")

    def starmap(self, tuples: Any, **options: Any) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("starmap is not available yet: call .remote(*t) for each tuple.")

    def for_each(self, *iterables: Any, **options: Any) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("for_each is not available yet: call .remote(x) for each input.")

    def spawn(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "spawn is not available yet: call .remote(x) in a thread, or await .remote.aio(x)."
        )

    def spawn_map(self, *iterables: Any, **options: Any) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("spawn_map is not available yet: call .remote(x) for each input.")


def gather(*calls: Any) -> NoReturn:
    """Not available yet.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        "gather is not available yet: use asyncio.gather over .remote.aio(x)."
    )


class Executor:
    """Not available yet.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "Executor is not available yet: use a ThreadPoolExecutor over .remote(x)."
        )


class FunctionCall:
    """Not available yet: the handle of a spawned call.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("FunctionCall is not available yet: use .remote(x).")

    @classmethod
    def from_id(cls, invocation_id: str) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("FunctionCall is not available yet: use .remote(x).")
