"""The objects that the store creates, whole: metadata, labels, owners. Pure."""

from __future__ import annotations

from typing import Any

from jupyter_faas.core.model import Revision
from jupyter_faas.gateway.store.objects import plain, revision_object
from jupyter_faas.providers.kubernetes.names import (
    API_VERSION,
    FUNCTION_LABEL,
    MANAGED_LABEL,
    MANAGER,
    REVISION_LABEL,
)
from jupyter_faas.providers.kubernetes.objects import FunctionSpecObject

Object = dict[str, Any]


def revision_name(revision: Revision) -> str:
    """Return the name of a revision's object."""
    return f"{revision.function}-{revision.number}"


def function_body(namespace: str, name: str, spec: FunctionSpecObject) -> Object:
    """Return a Function as it is created for a deploy that came over HTTP."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Function",
        "metadata": {"name": name, "namespace": namespace},
        "spec": plain(spec),
    }


def revision_body(revision: Revision, function_uid: str, package: str | None) -> Object:
    """Return a FunctionRevision as it is created."""
    return {
        "apiVersion": API_VERSION,
        "kind": "FunctionRevision",
        "metadata": {
            "name": revision_name(revision),
            "namespace": revision.namespace,
            **_metadata(revision, function_uid),
        },
        "spec": plain(revision_object(revision, package)),
    }


def labels_patch(revision: Revision, function_uid: str) -> Object:
    """Return what sets the labels and the owner of a revision's object right."""
    return {"metadata": _metadata(revision, function_uid)}


def owner_reference(name: str, uid: str) -> Object:
    """Return the owner reference of what belongs to a revision."""
    return _owner("FunctionRevision", name, uid)


def _metadata(revision: Revision, function_uid: str) -> Object:
    return {
        "labels": {
            MANAGED_LABEL: MANAGER,
            FUNCTION_LABEL: revision.function,
            REVISION_LABEL: str(revision.number),
        },
        "ownerReferences": [_owner("Function", revision.function, function_uid)],
    }


def _owner(kind: str, name: str, uid: str) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
