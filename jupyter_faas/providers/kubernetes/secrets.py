"""What functions may know of the Secrets of their namespace: those that say so by a label."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import ALLOW_LABEL

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def read_secrets(api: KubeApi, namespace: str, names: Iterable[str]) -> dict[str, str]:
    """Return the variables that some Secrets give; of equal keys the last Secret's counts.

    Raises:
        ProviderError: One is missing (`reason` SecretMissing), or is not labelled
            `jupyter-faas.io/allow: "true"` (SecretNotAllowed), or may not be read.
    """
    found: dict[str, str] = {}
    for name in names:
        try:
            secret = await api.find(path_of("secrets", namespace, name))
        except KubeError as error:
            raise ProviderError(
                f"The secret `{name}` of namespace `{namespace}` cannot be read: {error}",
                reason="SecretNotReadable",
                is_final=not error.is_passing,
            ) from error
        if secret is None:
            raise ProviderError(
                f"There is no secret `{name}` in namespace `{namespace}`.",
                reason="SecretMissing",
                is_final=True,
            )
        found.update(variables(secret, name, namespace))
    return found


def variables(secret: Object, name: str, namespace: str) -> dict[str, str]:
    """Return what a Secret gives, keys that no variable can have left out.

    Raises:
        ProviderError: It is not for functions.
    """
    labels = secret["metadata"].get("labels") or {}
    if labels.get(ALLOW_LABEL) != "true":
        raise ProviderError(
            f"Functions may not use the secret `{name}` of namespace `{namespace}`: "
            f'it is not labelled `{ALLOW_LABEL}: "true"`.',
            reason="SecretNotAllowed",
            is_final=True,
        )
    data = secret.get("data") or {}
    return {key: _text(value) for key, value in data.items() if _VARIABLE.fullmatch(key)}


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode("utf-8", "surrogateescape")
    except binascii.Error:
        return ""
