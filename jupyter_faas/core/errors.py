"""The error tree: could my code have run, and who must act?

```
FaasError                    code, http_status, retryable, fault
├─ UsageError                the caller must change something; nothing ran
│  ├─ InvalidSpec 422 · NameTaken 409 · FunctionNotFound 404 · RevisionNotFound 404
│  ├─ InvocationNotFound 404 · BadRequest 400 · PayloadTooLarge 413 · Unauthorized 401
│  ├─ EventsGone 410         take a new snapshot
│  ├─ Forbidden 403 · NotImplementedYet 501 · ResultNotJson 422
│  ├─ NotSerializable 422    names the object and the path to it
│  ├─ MissingPackages 422    names what the runner lacks and what to do
│  └─ EnvironmentMismatch 409
├─ CapacityError             nothing ran; safe to retry after `retry_after_s`
│  └─ QueueFull 503 (429 for the caller's own limit) · QueueTimeout 503
│     ColdStartTimeout 503 · NestedDeadlock 503 · GatewayUnavailable 503
├─ ExecutionError            the code may have run
│  └─ InvocationTimeout 504 · InvocationCancelled 499 · ReplicaLost 502 · GatewayLost 502
│     RemoteError 500
└─ PlatformError             the operator must act
   └─ ProviderError 502 · InternalError 500
```

On the wire every error is an RFC 9457 problem document whose `code` is the key of `BY_CODE`;
`to_problem` and `from_problem` are each other's inverse. Nothing here knows HTTP or asyncio.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Fault = Literal["user", "platform", "capacity"]


class FaasError(Exception):
    """Base of everything this platform raises.

    Args:
        detail: One or two sentences: what happened, why, what to do.
        invocation_id: The invocation this is about, if there is one.
        extra: Further members of the problem document (plain JSON values).
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    fault: ClassVar[Fault] = "platform"

    def __init__(self, detail: str = "", *, invocation_id: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.invocation_id = invocation_id
        self.extra = extra

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.detail, self.invocation_id, self.extra))


class UsageError(FaasError):
    """The caller must change something; nothing ran."""

    code = "usage"
    http_status = 400
    fault = "user"


class BadRequest(UsageError):
    """The HTTP request cannot be read: malformed JSON, wrong arguments, a missing header."""

    code = "bad_request"


class InvalidSpec(UsageError, ValueError):
    """A setting is unknown or out of range; the text names it and what is allowed."""

    code = "invalid_spec"
    http_status = 422


class NameTaken(UsageError):
    """Another notebook has deployed this name since; `take_over=True` or another name."""

    code = "name_taken"
    http_status = 409


class FunctionNotFound(UsageError, LookupError):
    """No function has this name here."""

    code = "function_not_found"
    http_status = 404


class RevisionNotFound(UsageError, LookupError):
    """The function has no such revision (any more)."""

    code = "revision_not_found"
    http_status = 404


class InvocationNotFound(UsageError, LookupError):
    """No invocation has this id, or its record has been dropped."""

    code = "invocation_not_found"
    http_status = 404


class EventsGone(UsageError):
    """Events since that number are no longer known: take a new snapshot and go on from there."""

    code = "events_gone"
    http_status = 410


class PayloadTooLarge(UsageError):
    """The body is larger than the gateway accepts; the text names both sizes."""

    code = "payload_too_large"
    http_status = 413


class Unauthorized(UsageError):
    """No token, or a wrong one."""

    code = "unauthorized"
    http_status = 401


class Forbidden(UsageError):
    """The token is good but may not do this."""

    code = "forbidden"
    http_status = 403


class NotImplementedYet(UsageError):
    """This surface is named in the API and not built yet."""

    code = "not_implemented"
    http_status = 501


class NotSerializable(UsageError, TypeError):
    """A captured object, argument or result cannot be pickled; the text names the path to it."""

    code = "not_serializable"
    http_status = 422


class ResultNotJson(UsageError, TypeError):
    """The result has no JSON form; the text names the path. The code has run."""

    code = "result_not_json"
    http_status = 422


class MissingPackages(UsageError, ImportError):
    """The runner lacks modules the function needs; the text says what to do."""

    code = "missing_packages"
    http_status = 422


class EnvironmentMismatch(UsageError):
    """Python or a protocol version differs between notebook and runner; names both."""

    code = "environment_mismatch"
    http_status = 409


class CapacityError(FaasError):
    """Nothing ran; safe to retry after `retry_after_s` seconds."""

    code = "capacity"
    http_status = 503
    retryable = True
    fault = "capacity"

    @property
    def retry_after_s(self) -> float:
        """Seconds to wait before a retry is worth it."""
        return float(self.extra.get("retry_after_s", 1.0))


class QueueFull(CapacityError):
    """The waiting room of the function (429) or of the gateway (503) is full."""

    code = "queue_full"


class QueueTimeout(CapacityError):
    """No replica became free within `queue_timeout`."""

    code = "queue_timeout"


class ColdStartTimeout(CapacityError):
    """No replica became ready within `startup_timeout`."""

    code = "cold_start_timeout"


class NestedDeadlock(CapacityError):
    """Every replica of the callee is held by an ancestor of this call and no more may start."""

    code = "nested_deadlock"


class GatewayUnavailable(CapacityError, ConnectionError):
    """No gateway could be reached; nothing was sent."""

    code = "gateway_unavailable"


class ExecutionError(FaasError):
    """The code may have run."""

    code = "execution"
    http_status = 500
    fault: ClassVar[Fault] = "user"


class InvocationTimeout(ExecutionError, TimeoutError):
    """The call took longer than `timeout` and was ended."""

    code = "timeout"
    http_status = 504


class InvocationCancelled(ExecutionError):
    """The call was cancelled by its caller."""

    code = "cancelled"
    http_status = 499


class ReplicaLost(ExecutionError):
    """The process that ran the call ended; `extra["reason"]` says how: crashed, out_of_memory."""

    code = "replica_lost"
    http_status = 502


class GatewayLost(ExecutionError, ConnectionError):
    """The call was sent and the gateway went away before it answered."""

    code = "gateway_lost"
    http_status = 502
    fault = "platform"


class RemoteError(ExecutionError):
    """The function raised, and its exception could not be rebuilt here; carries its text."""

    code = "remote_error"


class PlatformError(FaasError):
    """The operator must act."""

    code = "platform"


class ProviderError(PlatformError):
    """Replicas cannot be created; the text carries the provider's reason in plain words."""

    code = "provider_error"
    http_status = 502


class InternalError(PlatformError):
    """A defect of the platform itself."""

    code = "internal"


def known(error: BaseException) -> FaasError:
    """Return an error that can be told to others: itself, or as a defect what nobody expected."""
    return error if isinstance(error, FaasError) else InternalError(repr(error))


def walk(root: type[FaasError] = FaasError) -> list[type[FaasError]]:
    """Return `root` and all its subclasses, parents first."""
    found = [root]
    for child in root.__subclasses__():
        found.extend(walk(child))
    return found


BY_CODE: dict[str, type[FaasError]] = {cls.code: cls for cls in walk()}


def to_problem(error: FaasError) -> dict[str, Any]:
    """Return the RFC 9457 document of an error: type, title, status, detail, code and extras."""
    problem: dict[str, Any] = {
        "type": f"urn:jupyter-faas:error:{error.code}",
        "title": type(error).__name__,
        "status": status_of(error),
        "detail": error.detail,
        "code": error.code,
    }
    if error.invocation_id is not None:
        problem["invocation_id"] = error.invocation_id
    for key, value in error.extra.items():
        problem.setdefault(key, value)
    return problem


def from_problem(problem: dict[str, Any]) -> FaasError:
    """Rebuild an error from its problem document; an unknown code becomes `InternalError`."""
    cls = BY_CODE.get(str(problem.get("code")), InternalError)
    known = {"type", "title", "status", "detail", "code", "invocation_id"}
    extra = {key: value for key, value in problem.items() if key not in known}
    if problem.get("status") not in (None, cls.http_status):
        extra["status"] = problem["status"]
    invocation_id = problem.get("invocation_id")
    return cls(str(problem.get("detail", "")), invocation_id=invocation_id, **extra)


def status_of(error: FaasError) -> int:
    """Return the HTTP status of an error; `extra["status"]` overrides its class's."""
    return int(error.extra.get("status", error.http_status))


def _rebuild(
    cls: type[FaasError], detail: str, invocation_id: str | None, extra: dict[str, Any]
) -> FaasError:
    return cls(detail, invocation_id=invocation_id, **extra)
