"""What every handle can do beside being called, looked at and steered: have its code deployed.

A handle either has code (it was decorated here) or only a name (looked up, or it travelled
inside another function). With code, `route` makes sure before each call that the code deployed
is the code here; that test takes microseconds when nothing has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jupyter_faas.client import answers, connect, views
from jupyter_faas.client.listening import CallListener
from jupyter_faas.client.named import Named
from jupyter_faas.client.route import Route, is_replica
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import InvalidSpec, UsageError
from jupyter_faas.core.mapping import most_tries
from jupyter_faas.core.model import Kind

if TYPE_CHECKING:
    from jupyter_faas.client.deployment import Deployed
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.client.target import Target
    from jupyter_faas.core.report import Report

_IDEMPOTENT_TRIES = 3
"""So often an idempotent call is sent in all while gateways go away."""

_deploying = threading.RLock()
"""One deployment at a time: functions that refer to each other deploy each other."""
_begun: set[Deployable] = set()
"""Handles whose deployment has begun and not ended; guarded by `_deploying`."""


class Deployable(Named):
    """A named function or class on the platform.

    Args:
        name: Its name there.
        target: Its code here; None: only the name is known.
        revision: Calls go to this revision only; None: traffic decides.
        wait_s: Longest time a call may take; None: the gateway's limits alone.
    """

    def __init__(
        self,
        name: str,
        *,
        target: Target | None,
        revision: int | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(name)
        self._wait_s = target.wait_s if target is not None else wait_s
        self._target = target
        self._revision = revision
        self._deployed: Deployed | None = None
        self._route: Route | None = None

    def route(self) -> Route:
        """Return the way of a call made now; deploys first if this code is not deployed.

        Raises:
            UsageError: The code cannot be sent, or the name is another notebook's.
            GatewayUnavailable: No gateway could be reached.
        """
        __tracebackhide__ = True
        route = self.route_now()
        if route is not None:
            return route
        with _deploying:
            return self.route_now() or self._prepare()

    def route_now(self) -> Route | None:
        """Return the way of a call made now, or None if `route` has to deploy or ask first."""
        route = self._route
        if route is None or route.gateway is not session.gateway:
            return None
        deployed = self._deployed
        if deployed is None:
            return route
        return None if deployed.is_superseded or not deployed.capture.is_current() else route

    def deploy(self, strategy: str = "rolling", *, take_over: bool = False) -> views.Revision:
        """Capture anew, deploy, and wait until the revision is ready.

        Args:
            strategy: `rolling`: the old revision serves until the new one is ready;
                `recreate`: the old one is stopped first.
            take_over: Take the name although another notebook has deployed it since.

        Raises:
            NotSerializable: Something the code refers to cannot be sent; names the path to it.
            MissingPackages: The runner lacks what it needs.
            NameTaken: Another notebook has deployed this name since.
            FaasError: Why the revision is not ready.
        """
        __tracebackhide__ = True
        if strategy not in ("rolling", "recreate"):
            raise InvalidSpec(f"strategy={strategy!r}: allowed is 'rolling' or 'recreate'.")
        try:
            return self._deploy(strategy, take_over=take_over)
        except BaseException as error:
            answers.without_frames(error)
            raise

    def ensure_deployed(self) -> None:
        """Deploy this code if it is not; called for handles that another function refers to.

        A handle whose deployment has begun is left alone: it came to this one by a reference, and
        the circle ends here.
        """
        with _deploying:
            if self._target is not None and self not in _begun:
                self.route().left()  # its first call may be made elsewhere

    def capture(self) -> Report:
        """Return the capture report: what would be sent, with sizes. Nothing is sent.

        What cannot be sent is in the report, with the path to it.
        """
        from jupyter_faas.client import deployment  # noqa: PLC0415 - capture is heavy

        gateway = session.gateway
        is_elsewhere = gateway is not None and gateway.is_elsewhere
        return deployment.captured(self._code(), is_elsewhere=is_elsewhere).report

    def delete(self) -> None:
        """Remove the function with its revisions and replicas."""
        super().delete()
        with _deploying:
            self._forget()

    def __repr__(self) -> str:
        where = f", revision {self._deployed.number}" if self._deployed else ""
        return f"<{type(self).__name__} {self._name}{where}>"

    def _repr_html_(self) -> str:
        from jupyter_faas.client import markup  # noqa: PLC0415 - displays only
        from jupyter_faas.client.card import call_text, handle_text  # noqa: PLC0415 - displays only

        known = f"  ·  revision {self._deployed.number}" if self._deployed else ""
        here = "its code is here" if self._target is not None else "looked up by name"
        handle, how = self._name, f"{self._name}.remote(…)"
        if self._target is not None:
            handle, how = handle_text(self._target), call_text(self._target)
        fields = [("call it", how), ("look", f"{handle}.panel()")]
        return markup.html_fields(f"{self._name}{known}", here, fields)

    @property
    def _is_idempotent(self) -> bool:
        return self._target is not None and self._target.options.revision["idempotent"] is True

    @property
    def map_tries(self) -> int:
        """How often a map of it may be begun if its gateway goes away, as far as is known here."""
        return (
            1 if self._target is None else most_tries(self._target.options.revision["idempotent"])
        )

    def kind_of(self, method: str | None) -> Kind:
        """Return what calling it, or one of its methods, gives."""
        raise NotImplementedError

    def _code(self) -> Target:
        if self._target is None:
            raise UsageError(f"{self._name} was looked up by name: deploy it where its code is.")
        return self._target

    def _deploy(self, strategy: str, *, take_over: bool) -> views.Revision:
        from jupyter_faas.client import deployment  # noqa: PLC0415 - capture is heavy

        target = self._code()
        gateway = connect.gateway()
        wish = deployment.Wish(strategy=strategy, take_over=take_over, is_forced=True)
        with _deploying, self._beginning():
            deployed = deployment.ensure(target, gateway, wish)
        revision = deployment.wait_ready(deployed, gateway, target.wait_s)
        with _deploying:
            self._settle(gateway, deployed)
        return revision

    def _prepare(self) -> Route:
        """Deploy what must be deployed and make the route; the lock is held."""
        __tracebackhide__ = True
        gateway = connect.gateway()
        if self._target is None or is_replica():
            self._route = self._route_by_name(gateway)
            return self._route
        from jupyter_faas.client import deployment  # noqa: PLC0415 - capture is heavy

        with self._beginning():
            deployed = deployment.ensure(self._target, gateway, deployment.Wish())
        return self._settle(gateway, deployed)

    @contextmanager
    def _beginning(self) -> Iterator[None]:
        """Note that this deployment has begun, for as long as it goes on."""
        _begun.add(self)
        try:
            yield
        finally:
            _begun.discard(self)

    def _settle(self, gateway: Gateway, deployed: Deployed) -> Route:
        self._deployed = deployed
        self._route = Route(
            gateway,
            self._name,
            own=deployed.number,
            is_pinned=deployed.is_pending,
            wait_s=self._wait_s,
            tries=_IDEMPOTENT_TRIES if self._is_idempotent else 1,
            listener=CallListener(
                self._code(), deployed, forget=self._forget_route, recover=self._recover
            ),
        )
        return self._route

    def _route_by_name(self, gateway: Gateway) -> Route:
        number = self._revision
        return Route(
            gateway, self._name, own=number, is_pinned=number is not None, wait_s=self._wait_s
        )

    def _recover(self, lost: Route) -> Route:
        """Deploy again after somebody has deleted the function."""
        self._forget_route(lost)
        return self.route()

    def _forget_route(self, route: Route) -> None:
        """Ask the gateway anew before the next call, unless another thread has done so."""
        with _deploying:
            if self._route is route:
                self._forget()

    def _forget(self) -> None:
        self._deployed = self._route = None


def changed_names(handle: Deployable) -> list[str]:
    """Return the names whose values are newer here than where the handle's calls run."""
    deployed = handle._deployed
    if deployed is None or deployed.is_superseded or session.gateway is None:
        return []
    return deployed.capture.changed_names()
