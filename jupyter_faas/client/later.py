"""Surfaces that are named in the API and not there yet: each says so in a sentence."""

from __future__ import annotations

from typing import Any, NoReturn


class NotYet:
    """The fan-out faces of a remote function."""

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

    def spawn_map(self, *iterables: Any, **options: Any) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("spawn_map is not available yet: call .remote(x) for each input.")
