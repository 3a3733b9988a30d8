"""What a refusal of the Kubernetes API means to whoever asked a gateway for something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.providers.kubernetes.api import KubeError


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn `KubeError` into the platform's errors.

    Args:
        what: What could not be done, as the beginning of a sentence.

    Raises:
        InvalidSpec: The object breaks a rule of its definition.
        ProviderError: The API is away or has refused; its reason is in `reason`.
    """
    try:
        yield
    except KubeError as error:
        if error.status == 422:
            raise InvalidSpec(f"{what}: {error.message}") from error
        reason = {"reason": error.reason} if error.reason else {}
        raise ProviderError(f"{what}: {error.message}", **reason) from error
    except TimeoutError as error:
        raise ProviderError(f"{what}: the Kubernetes API does not answer.") from error
