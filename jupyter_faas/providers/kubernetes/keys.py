"""Where the gateways' keys are kept, and how runners learn whom to trust.

The keys are one Secret in the system namespace, made by the gateway that comes first; the public
one is a ConfigMap in each namespace of functions, which pods of runners get as a variable. What is
in the Secret is `gateway/keys.py`'s business.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import (
    KEYS_SECRET,
    MANAGED_LABEL,
    MANAGER,
    RAY_NAME,
    TRUST_CONFIG,
    TRUST_KEY,
)


async def ensure_keys(api: KubeApi, namespace: str, fresh: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the keys of this installation; if there are none yet, `fresh` become them.

    Args:
        api: The cluster.
        namespace: The system namespace.
        fresh: What is stored if nothing is; of several gateways that start at once one wins.

    Raises:
        ProviderError: The Secret cannot be read or made.
    """
    try:
        found = await api.find(path_of("secrets", namespace, KEYS_SECRET))
        if found is None:
            found = await _create(api, namespace, keys_secret(namespace, fresh))
    except KubeError as error:
        raise ProviderError(f"The gateway's keys cannot be read: {error.message}") from error
    return _decoded(found)


async def publish_trust(api: KubeApi, namespaces: Iterable[str], public_key: bytes) -> None:
    """Tell runners of these namespaces which gateway they obey; writes only what differs.

    Raises:
        ProviderError: A ConfigMap cannot be written.
    """
    for namespace in namespaces:
        try:
            await _publish(api, "configmaps", trust_config(namespace, public_key))
        except KubeError as error:
            raise ProviderError(
                f"Runners of namespace {namespace} cannot be told whom to trust: {error.message}"
            ) from error


async def publish_ray(api: KubeApi, namespace: str, tokens: Mapping[str, str]) -> None:
    """Give a namespace's Ray its tokens; writes only what differs.

    Raises:
        ProviderError: The Secret cannot be written.
    """
    wanted = _secret(RAY_NAME, namespace, {name: token.encode() for name, token in tokens.items()})
    try:
        await _publish(api, "secrets", wanted)
    except KubeError as error:
        raise ProviderError(
            f"Ray in namespace {namespace} cannot be given its tokens: {error.message}"
        ) from error


def keys_secret(namespace: str, keys: Mapping[str, bytes]) -> Object:
    """Return the Secret that holds keys."""
    return _secret(KEYS_SECRET, namespace, keys)


def trust_config(namespace: str, public_key: bytes) -> Object:
    """Return the ConfigMap that names the gateway whom runners trust."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(TRUST_CONFIG, namespace),
        "data": {TRUST_KEY: base64.b64encode(public_key).decode("ascii")},
    }


async def _publish(api: KubeApi, kind: str, wanted: Object) -> None:
    """Write an object whose data differs from what there is."""
    path = path_of(kind, wanted["metadata"]["namespace"], wanted["metadata"]["name"])
    found = await api.find(path)
    if found is None or found.get("data") != wanted["data"]:
        await api.apply(path, wanted)


async def _create(api: KubeApi, namespace: str, secret: Object) -> Object:
    try:
        return await api.create(path_of("secrets", namespace), secret)
    except KubeError as error:
        if not error.is_conflict:
            raise
    # Another gateway was faster: its keys are everybody's.
    return await api.get(path_of("secrets", namespace, KEYS_SECRET))


def _decoded(secret: Object) -> dict[str, bytes]:
    try:
        return {
            name: base64.b64decode(text, validate=True)
            for name, text in (secret.get("data") or {}).items()
        }
    except binascii.Error as error:
        raise ProviderError(f"Secret {KEYS_SECRET} cannot be read: {error}") from error


def _secret(name: str, namespace: str, values: Mapping[str, bytes]) -> Object:
    data = {key: base64.b64encode(value).decode("ascii") for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(name, namespace),
        "type": "Opaque",
        "data": data,
    }


def _metadata(name: str, namespace: str) -> Object:
    return {"name": name, "namespace": namespace, "labels": {MANAGED_LABEL: MANAGER}}
