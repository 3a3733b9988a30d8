"""Why a pod cannot be, in plain words: what Kubernetes says, translated. Pure.

Texts are sentences without their full stop, to be put after "waits: " or to stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jupyter_faas.core.model import Value
from jupyter_faas.providers.kubernetes.api import KubeError
from jupyter_faas.providers.kubernetes.quantity import amount, short

Object = dict[str, Any]


class Trouble(Value, kw_only=True):
    """Something that keeps a pod from starting."""

    code: str
    """One word for machines."""
    text: str
    is_final: bool = False
    """It stays so until somebody changes something."""


class Node(NamedTuple):
    """What of a node matters to whether a pod fits. Amounts in cores, bytes and pieces."""

    name: str
    labels: Mapping[str, str]
    size: Mapping[str, float]
    """Allocatable."""
    free: Mapping[str, float] | None = None
    """What nobody has asked for; None: it is not known."""


_IMAGE = {
    "ErrImagePull": "cannot be pulled",
    "ImagePullBackOff": "cannot be pulled",
    "RegistryUnavailable": "cannot be pulled: its registry does not answer",
    "ErrImageNeverPull": "is not on the node, and may not be pulled",
    "InvalidImageName": "has a name that no image can have",
    "SignatureValidationFailed": "is not signed as the cluster wants it",
}
_CONFIG = (
    (re.compile(r'secret "([^"]+)" not found'), "SecretMissing", "there is no secret `{}`"),
    (
        re.compile(r'configmap "([^"]+)" not found'),
        "NotInstalled",
        "there is no ConfigMap `{}`: the namespace is not prepared for functions",
    ),
    (
        re.compile(r"will run as root|non-numeric user"),
        "ImageRunsAsRoot",
        "the image runs as root, which is not allowed here: give it a numeric `USER`",
    ),
)
_CLAIM_MISSING = re.compile(r'persistentvolumeclaim "([^"]+)" (?:not found|is being deleted)')
_INSUFFICIENT = re.compile(r"Insufficient ([a-z0-9./-]*[a-z0-9])")
_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.*?), used: (.*?), limited: (.*)")
_QUOTA_WANTS = re.compile(r"failed quota: ([^:]+): (.*)")
_SECURITY = re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.*)', re.DOTALL)
_RUNTIME = re.compile(r'RuntimeClass[^"]*"([^"]+)" not found|runtimeclass\S* "([^"]+)" not found')
_WEBHOOK = re.compile(r'admission webhook "([^"]+)" denied the request: (.*)', re.DOTALL)
_LIMIT_RANGE = re.compile(r"(?:maximum|minimum) \S+ usage per \S+ is .*")
_NO_HANDLER = re.compile(r'no runtime for "?([^" ]+)"? is configured|RuntimeHandler "([^"]+)" not')
_MOUNT = re.compile(r'MountVolume\.\S+ failed for volume "([^"]+)"\s*: (.*)', re.DOTALL)


def container_trouble(status: Object) -> Trouble | None:
    """Return what keeps a container from starting, by its status."""
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason") or "", (waiting.get("message") or "").strip()
    if what := _IMAGE.get(reason):
        because = _why_not_pulled(message)
        text = f"the image `{status.get('image', '')}` {what}" + (f": {because}" if because else "")
        return Trouble(code="ImagePullFailed", text=text, is_final=True)
    if reason == "CreateContainerConfigError":
        for pattern, code, text in _CONFIG:
            if match := pattern.search(message):
                told = text.format(*match.groups())
                return Trouble(code=code, text=told, is_final=True)
        return Trouble(code="Config", text=message or reason, is_final=True)
    if reason in ("CreateContainerError", "RunContainerError", "StartError"):
        text = f"the image `{status.get('image', '')}` does not start: {_shortened(message)}"
        return Trouble(code="ImageBroken", text=text, is_final=True)
    return None


def schedule_trouble(
    message: str,
    requests: Mapping[str, float],
    selector: Mapping[str, str],
    nodes: Sequence[Node],
) -> Trouble:
    """Return why no node takes a pod.

    Args:
        message: The scheduler's.
        requests: What the pod asks for.
        selector: Labels that its node must have.
        nodes: All there are; empty: they are not known.
    """
    if match := _CLAIM_MISSING.search(message):
        text = f"there is no volume claim `{match[1]}` in this namespace"
        return Trouble(code="VolumeClaimMissing", text=text, is_final=True)
    if "unbound immediate PersistentVolumeClaims" in message:
        return Trouble(code="VolumeUnbound", text="its volume claim has got no volume yet")
    matching = [one for one in nodes if _has_labels(one, selector)]
    if nodes and not matching:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
        text = f"no node has the label {labels}"
        return Trouble(code="Unschedulable", text=text, is_final=True)
    if lacking := _INSUFFICIENT.findall(message):
        resources = sorted(set(lacking), key=lambda one: (one not in requests, one))
        is_final = not nodes and "Preemption is not helpful" in message
        return _insufficient(resources[0], requests.get(resources[0], 0.0), matching, is_final)
    if "Too many pods" in message:
        text = "every node runs as many pods as it may"
    elif "affinity/selector" in message:
        text = "no node has the labels that are asked for"
    elif "untolerated taint" in message:
        text = "the nodes with room are reserved for other work (taints)"
    else:
        text = f"no node takes it: {_shortened(message.partition(': ')[2] or message)}"
    return Trouble(code="Unschedulable", text=text)


def _insufficient(resource: str, wanted: float, nodes: Sequence[Node], is_final: bool) -> Trouble:
    asked = amount(resource, wanted)
    if not nodes:
        return Trouble(code="Unschedulable", text=f"no node has {asked} free", is_final=is_final)
    largest = max(node.size.get(resource, 0.0) for node in nodes)
    if largest < wanted:
        size = f"largest is {short(resource, largest)}" if largest else "no node has any"
        text = f"no node has {asked} free; {size}"
        return Trouble(code="Unschedulable", text=text, is_final=True)
    text = f"no node has {asked} free now"
    free = [node.free.get(resource, 0.0) for node in nodes if node.free is not None]
    if free:
        text += f"; most is {short(resource, max(0.0, *free))}"
    return Trouble(code="Unschedulable", text=text)


def refusal(error: KubeError, namespace: str) -> Trouble:
    """Return why the API server does not take a pod."""
    said = error.message
    if error.is_passing:
        return Trouble(code="ApiUnavailable", text=said)
    told = _quota(said, namespace) or _policy(said)
    if told is not None:
        return told
    if error.status == 404:
        return Trouble(code="NamespaceMissing", text=f"namespace `{namespace}`: {said}")
    if error.status == 403 and " cannot " in said:
        text = f"the gateway has no right to do this: {_shortened(said)}"
        return Trouble(code="Forbidden", text=text, is_final=True)
    return Trouble(
        code="Refused", text=f"the cluster refuses it: {_shortened(said)}", is_final=True
    )


def _quota(said: str, namespace: str) -> Trouble | None:
    if match := _QUOTA.search(said):
        quota, asked, used, limit = match.groups()
        text = (
            f"the quota `{quota}` of namespace `{namespace}` is used up: {used} of {limit} used, "
            f"{asked} more asked for"
        )
        return Trouble(code="QuotaExceeded", text=text, is_final=True)
    if match := _QUOTA_WANTS.search(said):
        text = f"the quota `{match[1]}` of namespace `{namespace}`: {match[2]}"
        return Trouble(code="QuotaExceeded", text=text, is_final=True)
    return None


def _policy(said: str) -> Trouble | None:
    code, text = "", ""
    if match := _SECURITY.search(said):
        code, text = "PodSecurity", f"Pod Security `{match[1]}` forbids it: {match[2]}"
    elif match := _RUNTIME.search(said):
        code, text = "RuntimeClassMissing", f"there is no runtime class `{match[1] or match[2]}`"
    elif match := _WEBHOOK.search(said):
        code, text = "Refused", f"{match[1]} refuses it: {_shortened(match[2])}"
    elif match := _LIMIT_RANGE.search(said):
        code, text = "LimitRange", match[0]
    return Trouble(code=code, text=text, is_final=True) if code else None


def event_trouble(reason: str, message: str) -> Trouble | None:
    """Return what an event of a pod that does not start tells; None: nothing that matters."""
    if reason in ("FailedMount", "FailedAttachVolume"):
        match = _MOUNT.search(message)
        text = f"the volume `{match[1]}` cannot be mounted: {match[2]}" if match else message
        return Trouble(code="VolumeFailed", text=_shortened(text))
    if reason == "FailedCreatePodSandBox":
        if match := _NO_HANDLER.search(message):
            text = f"the node cannot run the runtime class `{match[1] or match[2]}`"
            return Trouble(code="RuntimeClassBroken", text=text, is_final=True)
        return Trouble(code="SandboxFailed", text=_shortened(message))
    return None


def _has_labels(node: Node, selector: Mapping[str, str]) -> bool:
    return all(node.labels.get(key) == value for key, value in selector.items())


def _why_not_pulled(message: str) -> str:
    """Return the last cause of a chain of errors, in words if it is a known one."""
    if re.search(r"not found|manifest unknown|does not exist", message):
        return "there is no such image"
    if re.search(r"unauthorized|denied|authentication", message, re.IGNORECASE):
        return "its registry refuses access"
    if re.search(r"no such host|i/o timeout|connection refused|dial tcp", message):
        return "its registry cannot be reached"
    return ""


def _shortened(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= 300 else text[:299] + "…"
