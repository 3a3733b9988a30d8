"""Surfaces that are named in the API and not there yet: each says so in a sentence."""

from __future__ import annotations

from typing import Any, NoReturn


class NotYet:
    """The faces of a remote function that are still missing."""

    def spawn_map(self, *iterables: Any, **options: Any) -> NoReturn:
        """Not available yet.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("spawn_map is not available yet: call .map(xs) and keep reading.")
