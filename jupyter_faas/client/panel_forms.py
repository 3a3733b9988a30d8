"""The still forms of the panel: text, and HTML that an exported notebook keeps. Pure.

Values are plain JSON as the gateway says it; everything reaches HTML through `markup`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_faas.client import markup

View = Mapping[str, Any]

NO_GATEWAY = "None running: it starts with the first call."
EMPTY = (
    "Nothing deployed yet. Put `@serverless` above a function, or start a cell with "
    "`%%faas deploy`."
)
MARKS = {"starting": "◌", "ready": "○", "busy": "●", "draining": "◐", "lost": "✕"}
_QUIET = "color:var(--jp-ui-font-color2,#666)"
_MAX_MARKS = 60


@dataclass(frozen=True)
class Seen:
    """What was seen.

    Attributes:
        name: The function; None: all were looked at.
        at_s: When, wall clock.
        functions: Functions as the gateway shows them; with a name that one, in full.
        calls: Its last invocations, newest first.
        lines: The last lines it printed.
        note: Why there is nothing to see.
    """

    name: str | None
    at_s: float
    functions: tuple[View, ...] = ()
    calls: tuple[View, ...] = ()
    lines: tuple[str, ...] = ()
    note: str = ""


def text(seen: Seen) -> str:
    """Return the plain-text form."""
    if seen.note:
        return f"{seen.name or 'Functions'}: {seen.note}"
    if seen.name is None:
        return markup.text_table(_HEADER, _rows(seen)) if seen.functions else EMPTY
    (view,) = seen.functions
    parts = [markup.text_fields(_title(view), str(view.get("state", "")), _fields(view))]
    parts += [markup.text_table(header, rows) for _, header, rows in _tables(seen) if rows]
    parts += ["\n".join(seen.lines)] if seen.lines else []
    return "\n\n".join([*parts, _when(seen)])


def html(seen: Seen, note: str = "") -> str:
    """Return the HTML form with its time; `note` stands below it."""
    quiet = "  ".join(part for part in (_when(seen), note) if part)
    foot = f'<div style="{_QUIET}">{markup.escape(quiet)}</div>'
    if seen.note:
        name = markup.escape(seen.name or "Functions")
        return f"<div><b>{name}</b>: {markup.escape(seen.note)}</div>{foot}"
    if seen.name is None:
        if not seen.functions:
            return f"<div>{markup.escape(EMPTY)}</div>{foot}"
        return markup.html_table(_HEADER, _rows(seen), "Functions") + foot
    (view,) = seen.functions
    tables = "".join(
        markup.html_table(header, rows, title) for title, header, rows in _tables(seen) if rows
    )
    log = ""
    if seen.lines:
        log = f"<div><b>Log</b></div><pre>{markup.escape(chr(10).join(seen.lines))}</pre>"
    card = markup.html_fields(_title(view), str(view.get("state", "")), _fields(view))
    return f"{card}{tables}{log}{foot}"


_HEADER = ("function", "state", "replicas", "in flight", "queued", "calls", "errors", "p95")


def _rows(seen: Seen) -> list[tuple[Any, ...]]:
    return [_row(view) for view in sorted(seen.functions, key=lambda one: str(one["name"]))]


def _row(view: View) -> tuple[Any, ...]:
    counts = view.get("counts") or {}
    states = view.get("replicaCounts") or {}
    marks = "".join(MARKS.get(state, "?") * int(count) for state, count in states.items())
    return (
        view["name"],
        view.get("state", ""),
        marks[:_MAX_MARKS] or "asleep",
        counts.get("inFlight", 0),
        counts.get("queued", 0),
        markup.count(int(counts.get("accepted", 0))),
        markup.count(int(counts.get("errors", 0))),
        _ms(counts.get("p95Milliseconds")),
    )


def _title(view: View) -> str:
    shares = ", ".join(f"revision {number} · {share:.0%}" for number, share in _shares(view))
    return f"{view['name']}  ·  {shares or 'no revision is ready'}"


def _shares(view: View) -> list[tuple[int, float]]:
    traffic = {int(number): weight for number, weight in (view.get("traffic") or {}).items()}
    total = sum(traffic.values()) or 1
    return [(number, traffic[number] / total) for number in sorted(traffic, reverse=True)]


def _fields(view: View) -> list[tuple[str, str]]:
    counts = view.get("counts") or {}
    scaling = (view.get("settings") or {}).get("scaling") or {}
    replicas = view.get("replicas") or ()
    marks = " ".join(MARKS.get(str(one.get("state")), "?") for one in replicas[:_MAX_MARKS])
    low, high = scaling.get("minContainers", 0), scaling.get("maxContainers", 10)
    fields = [
        ("replicas", f"{marks or 'asleep'}   {len(replicas)} of {low}–{high}"),
        ("load", f"in flight {counts.get('inFlight', 0)}   queued {counts.get('queued', 0)}"),
        ("calls", _calls_line(counts)),
    ]
    pending = [str(one["reason"]) for one in replicas if one.get("reason")]
    fields += [("waiting", pending[0])] if pending else []
    scaled = view.get("scaled")
    fields += [("scaled", str(scaled["reason"]))] if scaled else []
    fields += [("url", str(view.get("url", "")))]
    return [*fields, ("reason", str(view["reason"]))] if view.get("reason") else fields


def _calls_line(counts: View) -> str:
    errors, user = int(counts.get("errors", 0)), counts.get("userErrors")
    whose = "" if user is None else f" (user {user}, platform {errors - int(user)})"
    parts = [
        f"{markup.count(int(counts.get('accepted', 0)))}",
        f"errors {markup.count(errors)}{whose if errors else ''}",
        f"p50 {_ms(counts.get('p50Milliseconds'))}",
        f"p95 {_ms(counts.get('p95Milliseconds'))}",
        f"cold {counts.get('coldStarts', 0)}",
    ]
    if counts.get("items"):
        parts.append(f"map items {markup.count(int(counts['items']))}")
    if counts.get("memoryMebibyteSeconds"):
        parts.append(f"cost {markup.memory_time(counts['memoryMebibyteSeconds'])}")
    return "   ".join(parts)


def _tables(seen: Seen) -> list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]]:
    (view,) = seen.functions
    shares = dict(_shares(view))
    revisions = [
        (
            one.get("number"),
            f"{shares.get(int(one.get('number', 0)), 0):.0%}",
            one.get("state", "pending"),
            markup.ago(one.get("createdAt", 0.0), seen.at_s),
            _origin(one.get("origin") or {}),
            ", ".join(one.get("changes") or ()),
        )
        for one in (view.get("revisions") or ())[:10]
    ]
    calls = [
        (
            markup.ago(one.get("startedAt", 0.0), seen.at_s),
            one.get("outcome", ""),
            _ms(one.get("runMilliseconds", 0.0)),
            _ms(one.get("queuedMilliseconds", 0.0)),
            f"rev {one.get('revision', '?')}{'  cold' if one.get('cold') else ''}",
            one.get("detail", ""),
        )
        for one in seen.calls
    ]
    return [
        ("Revisions", ("revision", "traffic", "state", "made", "from", "changed"), revisions),
        ("Calls", ("when", "outcome", "ran", "queued", "", ""), calls),
    ]


def _origin(origin: View) -> str:
    notebook = str(origin.get("notebook") or "").rsplit("/", 1)[-1]
    cell = origin.get("cellNumber") or str(origin.get("cellId") or "")[:8]
    return (notebook or str(origin.get("owner") or "a script")) + (f", cell {cell}" if cell else "")


def _ms(value: Any) -> str:
    return "–" if value is None else markup.duration(float(value) / 1000)


def _when(seen: Seen) -> str:
    at = datetime.datetime.fromtimestamp(seen.at_s).astimezone()
    return f"as of {at:%Y-%m-%d %H:%M:%S}"
