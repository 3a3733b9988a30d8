"""A function by its name: looked at and steered, wherever its code is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jupyter_faas.client import connect, control, views
from jupyter_faas.client.options import parse_scaling
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import InvalidSpec


class Named:
    """A function or class on the platform.

    Args:
        name: Its name there.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """The function's name on the platform."""
        return self._name

    @property
    def url(self) -> str:
        """Where plain HTTP calls go: `POST` with a JSON body and the gateway's token.

        On a cluster seen through kubeconfig without a public address: a port of this machine
        that leads there as long as this process lives.
        """
        gateway = connect.gateway()
        return f"{gateway.url}{gateway.call_path(self._name)}"

    def status(self) -> views.Status:
        """Return what is: traffic, replicas, load.

        Raises:
            FunctionNotFound: It is not deployed.
        """
        gateway = connect.gateway()
        return views.Status(control.shown(gateway, self._name), self.url, gateway.url_note)

    def revisions(self) -> views.Table[views.Revision]:
        """Return its revisions, newest first."""
        status = self.status()
        return views.revision_table(status.revisions, status.function, session.now_s())

    def replicas(self) -> views.Table[views.Replica]:
        """Return its replicas as they are now."""
        found = self.status().replicas
        return views.replica_table(found, self._name, session.now_s())

    def logs(self, follow: bool = False, tail: int = 100) -> views.LogLines | Iterator[str]:
        """Return the last lines it printed; with `follow` an iterator that goes on."""
        gateway = connect.gateway()
        if follow:
            return control.follow_logs(gateway, self._name, tail)
        return views.LogLines(control.logs(gateway, self._name, tail))

    def events(self) -> views.Table[tuple[float, str, str]]:
        """Return what happened to it lately: deploys, replicas, scaling with reasons."""
        view = control.shown(connect.gateway(), self._name)
        return views.event_table(view, session.now_s())

    def panel(self) -> Any:
        """Show it live: replicas, load, revisions, calls, log. In a terminal as it is now."""
        from jupyter_faas.client.panel import panel  # noqa: PLC0415 - displays only

        return panel(self._name)

    def rollback(self, to: int | None = None) -> views.Revision:
        """Give all traffic to the previous live revision, or to number `to`; return it.

        Raises:
            RevisionNotFound: There is none to go back to.
        """
        return control.rollback(connect.gateway(), self._name, to)

    def traffic(self, weights: Mapping[int | str, int] | None = None) -> dict[int, int]:
        """Divide the traffic over revisions: `{3: 90, 4: 10}`; without argument: what is.

        Raises:
            InvalidSpec: A weight or a number is none.
            RevisionNotFound: A revision is unknown.
        """
        if weights is None:
            return dict(self.status().function.traffic)
        return control.set_traffic(connect.gateway(), self._name, _checked_weights(weights))

    def update_autoscaler(self, **scaling: Any) -> views.Scaling:
        """Change limits of replicas live, without a new revision; return the full setting.

        Args:
            **scaling: min_containers, max_containers, buffer_containers, scaledown_window,
                target_inputs.

        Raises:
            InvalidSpec: Unknown argument, or out of range.
        """
        status = self.status()
        max_inputs = status.revisions[0].spec.max_inputs if status.revisions else 1
        changes = parse_scaling(scaling, status.function.settings.scaling, max_inputs)
        return control.set_scaling(connect.gateway(), self._name, changes)

    def delete(self) -> None:
        """Remove the function with its revisions and replicas."""
        control.delete(connect.gateway(), self._name)


def _checked_weights(weights: Mapping[int | str, int]) -> dict[int, int]:
    checked = {}
    for number, weight in weights.items():
        is_weight = isinstance(weight, int) and not isinstance(weight, bool) and weight >= 0
        if not str(number).isdigit() or not is_weight:
            raise InvalidSpec(
                f"traffic={dict(weights)!r}: allowed is a dict of revision numbers to weights, "
                "like {3: 90, 4: 10}."
            )
        checked[int(number)] = weight
    return checked
