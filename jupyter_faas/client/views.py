"""What handles return to be looked at: revisions, replicas, status, logs, events.

The model's own values with a plain-text and an HTML form. They show what was measured when they
were asked for and never ask again by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_faas.client import markup
from jupyter_faas.core import model

if TYPE_CHECKING:
    from jupyter_faas.client.control import FunctionView

T = TypeVar("T")

REPLICA_MARKS = {
    model.ReplicaState.STARTING: "◌",
    model.ReplicaState.READY: "○",
    model.ReplicaState.BUSY: "●",
    model.ReplicaState.DRAINING: "◐",
    model.ReplicaState.LOST: "✕",
}


class Revision(model.Revision):
    """One immutable version of a function, as `f.deploy()` and `f.revisions()` return it."""

    def __repr__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"Revision {self.number} of {self.function}, {self.state.value}{reason}"

    def _repr_html_(self) -> str:
        return markup.html_fields(
            f"{self.function}  ·  revision {self.number}", self.state.value, _revision_fields(self)
        )


class Replica(model.ReplicaStatus):
    """One replica, as `f.replicas()` returns it."""

    def __repr__(self) -> str:
        mark = REPLICA_MARKS.get(self.state, "?")
        return f"{mark} {self.id} {self.state.value}, revision {self.revision}"

    def _repr_html_(self) -> str:
        reason = [("waiting", self.reason)] if self.reason else []
        born = [("start", f"{markup.duration(self.start_ms / 1000)} ({self.how})")]
        mark = REPLICA_MARKS.get(self.state, "?")
        return markup.html_fields(
            f"{mark} {self.id}",
            self.state.value,
            [
                ("serves", f"{self.function}, revision {self.revision}"),
                ("in flight", str(self.in_flight)),
                *(born if self.how else []),
                *reason,
            ],
        )


class Scaling(model.Scaling):
    """How many replicas a function may have, as `f.update_autoscaler()` returns it."""

    def __repr__(self) -> str:
        return (
            f"min {self.min_containers}, max {self.max_containers}, "
            f"buffer {self.buffer_containers}, idle {self.scaledown_window_s:g} s"
        )

    def _repr_html_(self) -> str:
        return f"<div>{markup.escape(repr(self))}</div>"


class Table(list[T]):
    """A list that displays as a table."""

    def __init__(
        self, items: Iterable[T], header: Sequence[str], rows: Iterable[Sequence[Any]], title: str
    ) -> None:
        super().__init__(items)
        self._header = tuple(header)
        self._rows = [tuple(row) for row in rows]
        self._title = title

    def __repr__(self) -> str:
        if not self._rows:
            return f"{self._title}: none"
        return f"{self._title}\n{markup.text_table(self._header, self._rows)}"

    def _repr_html_(self) -> str:
        if not self._rows:
            return f"<i>{markup.escape(self._title)}: none</i>"
        return markup.html_table(self._header, self._rows, self._title)


class LogLines(list[str]):
    """Lines a function printed; displays as the text itself."""

    def __repr__(self) -> str:
        return "\n".join(self) if self else "(nothing printed yet)"

    def _repr_html_(self) -> str:
        return f"<pre>{markup.escape(repr(self))}</pre>"


class Status:
    """What is: the function, its traffic, its replicas.

    Attributes:
        function: The function with its settings and traffic.
        revisions: Its revisions, newest first.
        replicas: Its replicas now.
        state: `ready` (a call would be answered, also at zero replicas), `pending` or `failed`.
        reason: What to know about the state; empty if all is well.
        url: Where plain HTTP calls go.
    """

    def __init__(self, view: FunctionView, url: str, url_note: str = "") -> None:
        self.function: model.Function = view
        self.revisions = list(view.revisions)
        self.replicas = list(view.replicas)
        self.state = view.state
        self.reason = view.reason
        self.url = url
        self._url_note = f"   ({url_note})" if url_note else ""
        self._scaled = view.scaled

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.name

    @property
    def is_ready(self) -> bool:
        """Whether a call would be answered."""
        return self.state == "ready"

    def __repr__(self) -> str:
        return markup.text_fields(self._title(), self.state, self._fields())

    def _repr_html_(self) -> str:
        return markup.html_fields(self._title(), self.state, self._fields())

    def _title(self) -> str:
        total = sum(self.function.traffic.values()) or 1
        shares = ", ".join(
            f"revision {number} · {weight / total:.0%}"
            for number, weight in sorted(self.function.traffic.items(), reverse=True)
        )
        return f"{self.name}  ·  {shares or 'no revision is ready'}"

    def _fields(self) -> list[tuple[str, str]]:
        scaling = self.function.settings.scaling
        marks = " ".join(REPLICA_MARKS.get(replica.state, "?") for replica in self.replicas)
        count = f"{len(self.replicas)} of {scaling.min_containers}–{scaling.max_containers}"
        in_flight = sum(replica.in_flight for replica in self.replicas)
        fields = [
            ("replicas", f"{marks or 'asleep'}   {count}"),
            ("in flight", str(in_flight)),
            ("url", f"{self.url}{self._url_note}"),
        ]
        if self._scaled is not None:
            fields.append(("scaled", self._scaled["reason"]))
        return [*fields, ("reason", self.reason)] if self.reason else fields


def revision_table(
    revisions: Sequence[Revision], function: model.Function, now_s: float
) -> Table[Revision]:
    """Return revisions as a table with their share of the traffic and where they come from."""
    total = sum(function.traffic.values()) or 1
    rows = [
        (
            r.number,
            r.state.value,
            f"{function.traffic.get(r.number, 0) / total:.0%}",
            markup.ago(r.created_at, now_s),
            origin_text(r.origin),
            r.reason,
        )
        for r in revisions
    ]
    header = ("revision", "state", "traffic", "made", "from", "reason")
    return Table(revisions, header, rows, f"Revisions of {function.name}")


def replica_table(replicas: Sequence[Replica], name: str, now_s: float) -> Table[Replica]:
    """Return replicas as a table."""
    rows = [
        (
            f"{REPLICA_MARKS.get(r.state, '?')} {r.state.value}",
            r.id,
            r.revision,
            r.in_flight,
            markup.ago(r.started_at, now_s),
            r.reason,
        )
        for r in replicas
    ]
    header = ("state", "id", "revision", "in flight", "started", "reason")
    return Table(replicas, header, rows, f"Replicas of {name}")


def function_table(functions: Sequence[FunctionView]) -> Table[FunctionView]:
    """Return functions as a table."""
    rows = [
        (
            f.name,
            f.state,
            ", ".join(f"{n}: {w}" for n, w in sorted(f.traffic.items(), reverse=True)) or "–",
            f"{f.settings.scaling.min_containers}–{f.settings.scaling.max_containers}",
        )
        for f in functions
    ]
    return Table(functions, ("function", "state", "traffic", "replicas"), rows, "Functions")


def map_table(maps: Sequence[Mapping[str, Any]], now_s: float) -> Table[Mapping[str, Any]]:
    """Return maps, as the gateway tells of them, as a table."""
    rows = [
        (
            one.get("id", ""),
            one.get("function", ""),
            one.get("state", ""),
            f"{one.get('done', 0)} / {'?' if one.get('total') is None else one['total']}",
            one.get("failed", 0),
            one.get("engine", ""),
            markup.ago(one.get("startedAt", 0.0), now_s),
            one.get("note", ""),
        )
        for one in maps
    ]
    header = ("map", "function", "state", "done", "failed", "runs on", "began", "note")
    return Table(maps, header, rows, "Maps")


def event_table(view: FunctionView, now_s: float) -> Table[tuple[float, str, str]]:
    """Return what happened to a function lately, newest first, with reasons."""
    events = [
        (r.created_at, f"revision {r.number} {r.state.value}", r.reason or origin_text(r.origin))
        for r in view.revisions
    ]
    events += [
        (r.started_at, f"replica {r.id} {r.state.value}", r.reason or f"revision {r.revision}")
        for r in view.replicas
    ]
    if view.scaled is not None:
        events.append((view.scaled["at"], "scaled", view.scaled["reason"]))
    events.sort(reverse=True)
    rows = [(markup.ago(at, now_s), what, why) for at, what, why in events]
    return Table(events, ("when", "what", "why"), rows, f"Events of {view.name}")


def origin_text(origin: model.Origin) -> str:
    """Return where a revision comes from, for people: `score.ipynb, cell 3f2a`."""
    notebook = origin.notebook.rsplit("/", 1)[-1]
    cell = f", cell {origin.cell_id[:8]}" if origin.cell_id else ""
    return f"{notebook or origin.owner or 'a script'}{cell}"


def _revision_fields(revision: model.Revision) -> list[tuple[str, str]]:
    spec = revision.spec
    fields = [
        ("from", origin_text(revision.origin)),
        ("code", f"{spec.code.entry}{spec.code.signature}  {markup.size(spec.code.size_bytes)}"),
        ("where", f"python {spec.code.python} · memory ≤ {spec.resources.memory_mib} MiB"),
        ("id", revision.id[:12]),
    ]
    return [*fields, ("reason", revision.reason)] if revision.reason else fields
