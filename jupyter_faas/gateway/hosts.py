"""Which function a Host header means: `{name}.{domain}`, and on a cluster its own Service.

Pure but for a small memory of hosts that were seen. The gateway asks for every call that comes
without a path of its own.
"""

from __future__ import annotations

from collections.abc import Collection

from jupyter_faas.core.errors import BadRequest

Target = tuple[str, str]
_MOST_HOSTS = 4096


class Hosts:
    """The names that functions are reached by.

    Args:
        namespace: Of `{name}.{domain}`.
        domain: E.g. `faas.example.org`; empty: none.
        namespaces: Where functions have Services, as `{name}.{namespace}.svc`, and names with
            their namespace below the domain, as `{name}.{namespace}.{domain}`; empty: nowhere.
    """

    def __init__(self, namespace: str, domain: str, namespaces: Collection[str] = ()) -> None:
        self._namespace = namespace
        self._domain = "." + domain.lower() if domain else ""
        self._namespaces = frozenset(namespaces)
        self._known: dict[bytes, Target | None] = {}

    def __bool__(self) -> bool:
        return bool(self._domain or self._namespaces)

    def target(self, host: bytes) -> Target | None:
        """Return namespace and name of the function that a Host header means, or None.

        Raises:
            BadRequest: It is below the domain, and no function's name.
        """
        try:
            return self._known[host]
        except KeyError:
            found = self._read(host.lower().partition(b":")[0].decode("ascii", "replace"))
            if len(self._known) < _MOST_HOSTS:
                self._known[host] = found
            return found

    def _read(self, host: str) -> Target | None:
        if self._domain and host.endswith(self._domain):
            return self._below(host[: -len(self._domain)])
        name, _, rest = host.partition(".")
        namespace, _, suffix = rest.partition(".")
        is_service = suffix == "svc" or suffix.startswith("svc.")
        return (namespace, name) if is_service and namespace in self._namespaces else None

    def _below(self, name: str) -> Target:
        first, _, namespace = name.partition(".")
        if not namespace:
            return self._namespace, name
        if namespace in self._namespaces:
            return namespace, first
        raise BadRequest(f"`{name}` is no function's name.")
