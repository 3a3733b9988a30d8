"""The one door to the Kubernetes API: requests and watches in plain JSON values.

Made on the official client (its configuration, authentication and connection), without its
models: converting them costs more than the calls they carry. Nothing here knows what is asked
for; `KubeError` says in Kubernetes' own words what was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import getproxies

import msgspec

from jupyter_faas.providers.kubernetes.names import MANAGER

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON."""

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"

TIMEOUT_S = 10.0
_WATCH_S = 300
"""How long the server keeps one watch; then it is asked for anew."""
_PAGE = 12
"""Objects of one part of a list."""
_RETRY_S = 0.5
_SILENCE_S = 150.0
"""A watch that says nothing for so long is broken: bookmarks come about once a minute."""
_MAX_LINE_BYTES = 8 << 20
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class KubeError(Exception):
    """The API server has refused something, or cannot be reached (status 0).

    Attributes:
        status: HTTP status; 0: no answer.
        reason: Kubernetes' word for it, e.g. `NotFound`, `Conflict`, `AlreadyExists`, `Forbidden`.
        message: Its sentence.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"HTTP {status}")
        self.status = status
        self.reason = reason
        self.message = message or reason

    @property
    def is_missing(self) -> bool:
        """Whether there is no such object (any more)."""
        return self.status == 404

    @property
    def is_conflict(self) -> bool:
        """Whether somebody else was faster: a stale `resourceVersion`, or a name that is taken."""
        return self.status == 409

    @property
    def is_passing(self) -> bool:
        """Whether asking again may help: the server is away or overloaded."""
        return self.status in (0, 429, 500, 502, 503, 504)


class WatchEvent(NamedTuple):
    """One event of a watch.

    `kind` is `ADDED`, `MODIFIED`, `DELETED`, or `SYNCED`: everything that exists has been told
    once, also again after a break. Its object is `{"names": […]}`, all there is: what is not
    among them is gone, whatever was told of it before.
    """

    kind: str
    object: Object


class KubeApi:
    """Requests to one API server.

    Made by `connect`; closed with `close`.

    Args:
        client: The official client, configured.
        namespace: The namespace of the kubeconfig's context, or of the pod this runs in.
    """

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self._client = client
        self._host: str = client.configuration.host.rstrip("/")

    @classmethod
    async def connect(cls, context: str | None = None) -> KubeApi:
        """Return an API from the pod's service account, or from kubeconfig.

        Args:
            context: Of kubeconfig; None: inside a cluster that cluster, else the current context.

        Raises:
            KubeError: There is neither, or what there is cannot be used.
        """
        # Imported here: 1.3 s that nobody pays who has no cluster.
        from kubernetes.aio import client as kube  # noqa: PLC0415 - see above
        from kubernetes.aio import config  # noqa: PLC0415 - as above

        configuration = kube.Configuration()
        namespace = "default"
        try:
            if context is None and (inside := _own_namespace()):
                config.load_incluster_config(client_configuration=configuration)
                namespace = inside
            else:
                await config.load_kube_config(context=context, client_configuration=configuration)
                _, current = config.list_kube_config_contexts()
                namespace = current.get("context", {}).get("namespace") or "default"
        except (config.ConfigException, OSError) as error:
            raise KubeError(0, "NoConfig", f"No cluster is configured: {error}") from error
        # Where no proxy is named, none is looked for: aiohttp does that in a thread, twice for
        # each request, which costs half of what a request takes here.
        configuration.client_session_kwargs = {"trust_env": bool(getproxies())}
        return cls(kube.ApiClient(configuration), namespace)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, path: str, **query: str) -> Object:
        """Return an object or a list.

        Args:
            path: E.g. `/api/v1/namespaces/default/pods/a`; see `path_of`.
            query: E.g. `labelSelector="a=b"`.

        Raises:
            KubeError: It is not there, or may not be read.
        """
        return await self._json("GET", path, query)

    async def find(self, path: str) -> Object | None:
        """Return an object, or None if there is none.

        Raises:
            KubeError: Anything but 404.
        """
        try:
            return await self.get(path)
        except KubeError as error:
            if error.is_missing:
                return None
            raise

    async def create(self, path: str, body: Object, **query: str) -> Object:
        """Create an object in a collection; return it as stored."""
        return await self._json("POST", path, {"fieldManager": MANAGER, **query}, body)

    async def replace(self, path: str, body: Object, **query: str) -> Object:
        """Replace an object whole; its `resourceVersion`, if given, must be the stored one."""
        return await self._json("PUT", path, {"fieldManager": MANAGER, **query}, body)

    async def patch(self, path: str, body: Any, kind: str = MERGE_PATCH, **query: str) -> Object:
        """Change a part of an object; a `resourceVersion` in `body` is checked (409)."""
        return await self._json("PATCH", path, {"fieldManager": MANAGER, **query}, body, kind)

    async def apply(self, path: str, body: Object, **query: str) -> Object:
        """Make an object what `body` says (server-side apply, by force)."""
        query = {"force": "true", **query}
        return await self.patch(path, body, APPLY_PATCH, **query)

    async def delete(self, path: str, body: Object | None = None, **query: str) -> bool:
        """Delete an object (or, with a selector, several); False: it was not there."""
        try:
            await self._json("DELETE", path, query, body)
        except KubeError as error:
            if error.is_missing:
                return False
            raise
        return True

    async def watch(self, path: str, **query: str) -> AsyncIterator[WatchEvent]:
        """Yield what is in a collection, then every change, for ever; breaks are mended.

        Every object of a (new) list comes as `ADDED`, then `SYNCED` comes once; see `WatchEvent`.
        While the API server is away nothing comes: what was known stays.

        Raises:
            KubeError: The collection may not be watched, or does not exist.
        """
        version = ""
        while True:
            try:
                if not version:
                    names, listed = [], ""
                    async for page in self._pages(path, query):
                        listed = page["metadata"]["resourceVersion"]
                        for one in page.get("items") or ():
                            names.append(one["metadata"]["name"])
                            yield WatchEvent("ADDED", one)
                    version = listed
                    yield WatchEvent("SYNCED", {"names": names})
                async for event in self._watch_once(path, query, version):
                    version = event.object["metadata"]["resourceVersion"]
                    if event.kind != "BOOKMARK":
                        yield event
            except KubeError as error:
                if error.status == 410:
                    version = ""
                elif not error.is_passing:
                    raise
                else:
                    await asyncio.sleep(_RETRY_S)

    async def _pages(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Object]:
        """Yield a list in parts, all of one moment: decoded at once, 600 objects took 15 MB."""
        token = ""
        while True:
            more = {"limit": str(_PAGE)} | ({"continue": token} if token else {})
            page = await self.get(path, **query, **more)
            yield page
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    async def _watch_once(
        self, path: str, query: Mapping[str, str], version: str
    ) -> AsyncIterator[WatchEvent]:
        asked = {
            **query,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
        }
        response = await self._request("GET", path, asked, timeout_s=_WATCH_S + 15)
        try:
            async for line in _lines(response):
                event = msgspec.json.decode(line)
                if event["type"] == "ERROR":
                    raise _error_of(event["object"], event["object"].get("code", 0))
                yield WatchEvent(event["type"], event["object"])
        except Exception as error:
            raise _translated(error) from error
        finally:
            response.close()

    async def text(self, path: str, **query: str) -> str:
        """Return a body that is no JSON, e.g. of `…/log`."""
        response = await self._request("GET", path, query)
        return bytes(await _whole(response)).decode("utf-8", "replace")

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        kind: str = "application/json",
    ) -> Object:
        response = await self._request(method, path, query, body, kind)
        found = msgspec.json.decode(await _whole(response))
        assert isinstance(found, dict)
        return found

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        kind: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """Return the raw response; its head says success.

        Raises:
            KubeError: It says failure, or there is none.
        """
        headers = {"Accept": "application/json", "Content-Type": kind}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout_s
            )
            raw = answer.response
            if raw.status >= 400:
                raise _error_of(_object_in(await raw.read()), raw.status)
        except Exception as error:
            raise _translated(error) from error
        return raw


def path_of(
    plural: str, namespace: str | None = None, name: str = "", *, group: str = "", part: str = ""
) -> str:
    """Return the path of an object or a collection.

    Args:
        plural: E.g. `pods`.
        namespace: None: of the whole cluster.
        name: Empty: the collection.
        group: Group and version, e.g. `apps/v1`; empty: `v1`.
        part: A subresource, e.g. `status`.
    """
    root = f"/apis/{group}" if group else "/api/v1"
    inside = f"/namespaces/{namespace}" if namespace else ""
    return root + inside + "".join(f"/{word}" for word in (plural, name, part) if word)


def _own_namespace() -> str:
    """Return the namespace of the pod this runs in; empty outside of a cluster."""
    with suppress(OSError):
        return _NAMESPACE_FILE.read_text().strip()
    return ""


async def _whole(response: Any) -> bytes:
    try:
        return bytes(await response.read())
    except Exception as error:
        raise _translated(error) from error


async def _lines(response: Any) -> AsyncIterator[bytes]:
    """Yield the lines of a watch; aiohttp's own reader refuses long ones."""
    rest = b""
    while True:
        async with asyncio.timeout(_SILENCE_S):
            piece = await response.content.readany()
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > _MAX_LINE_BYTES:
            raise KubeError(0, "TooLarge", "an object of the watch is too large")


def _object_in(text: bytes) -> Object:
    with suppress(msgspec.DecodeError):
        found = msgspec.json.decode(text)
        if isinstance(found, dict):
            return found
    return {"message": text[:500].decode("utf-8", "replace")}


def _error_of(told: Object, status: int) -> KubeError:
    """Return the error that a `Status` object tells of."""
    return KubeError(status, str(told.get("reason") or ""), str(told.get("message") or ""))


def _translated(error: Exception) -> Exception:
    """Return what a failed exchange is to our callers; a defect stays what it is."""
    is_aiohttp = type(error).__module__.partition(".")[0] == "aiohttp"
    if is_aiohttp or isinstance(error, (OSError, TimeoutError)):
        said = str(error) or type(error).__name__
        return KubeError(0, "Unreachable", f"The Kubernetes API does not answer: {said}")
    return error
