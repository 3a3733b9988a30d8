"""Small pieces of text and HTML that displays are made of. Pure; everything is escaped here.

What is shown comes from functions, notebooks and other people: no string reaches HTML but
through `escape`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_TABLE = (
    "border-collapse:collapse;font-family:var(--jp-code-font-family,monospace);"
    "font-size:var(--jp-code-font-size,13px)"
)
_CELL = "padding:1px 12px 1px 0;text-align:left;border:0;background:none"
_QUIET = "color:var(--jp-ui-font-color2,#666)"


def escape(text: object) -> str:
    """Return text that is safe inside HTML elements and quoted attributes."""
    return html.escape(str(text), quote=True)


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a plain-text table: left-aligned columns, two spaces apart."""
    lines = [tuple(header), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def html_table(header: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> str:
    """Return an HTML table in the notebook's own fonts and colours."""
    head = "".join(
        f'<th style="{_CELL};{_QUIET};font-weight:normal">{escape(h)}</th>' for h in header
    )
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    caption = f"<div><b>{escape(title)}</b></div>" if title else ""
    return f'{caption}<table style="{_TABLE}"><tr>{head}</tr>{body}</table>'


def html_fields(title: str, aside: str, fields: Iterable[tuple[str, str]], footer: str = "") -> str:
    """Return a card: a title line and labelled lines; `footer` is HTML made elsewhere."""
    rows = "".join(
        f'<tr style="background:none"><td style="{_CELL};{_QUIET}">{escape(label)}</td>'
        f'<td style="{_CELL};white-space:pre-wrap">{escape(value)}</td></tr>'
        for label, value in fields
    )
    line = (
        '<div style="display:flex;justify-content:space-between;max-width:72em;'
        'border-bottom:1px solid var(--jp-border-color2,#ccc)">'
        f"<b>{escape(title)}</b><span>{escape(aside)}</span></div>"
    )
    return f'<div style="{_TABLE}">{line}<table style="{_TABLE}">{rows}</table>{footer}</div>'


def html_folded(summary: str, text: str) -> str:
    """Return text that opens on a click; empty text: nothing."""
    if not text:
        return ""
    return (
        f'<details><summary style="{_QUIET};cursor:pointer">{escape(summary)}</summary>'
        f'<pre style="margin:0">{escape(text)}</pre></details>'
    )


def text_fields(title: str, aside: str, fields: Iterable[tuple[str, str]], width: int = 72) -> str:
    """Return the plain-text form of a card."""
    gap = " " * max(2, width - len(title) - len(aside))
    lines = [f"{title}{gap}{aside}", "─" * width]
    for label, value in fields:
        lines.append(f"{label:<9} " + value.replace("\n", "\n" + " " * 11))
    return "\n".join(" " + line for line in lines)


def duration(seconds: float) -> str:
    """Return a duration for people: `38 ms`, `2.4 s`, `3 min`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def memory_time(mib_s: float) -> str:
    """Return memory times run time: `0.84 GB·h`, `2.5 GB·s`. As clouds bill it, 1 GB is 1024 MiB.

    Args:
        mib_s: Mebibyte-seconds.
    """
    gb_s = mib_s / 1024
    if gb_s >= 360:
        return f"{gb_s / 3600:.2f} GB·h"
    if gb_s >= 10:
        return f"{gb_s:.0f} GB·s"
    return f"{gb_s:.{1 if gb_s >= 1 or gb_s == 0 else 2}f} GB·s"


def count(number: int) -> str:
    """Return a number for people: `10 000`."""
    return f"{number:,}".replace(",", " ")


def ago(then_s: float, now_s: float) -> str:
    """Return how long ago something was: `now`, `12 s ago`, `3 min ago`, `yesterday`."""
    seconds = now_s - then_s
    if then_s <= 0:
        return "–"
    if seconds < 1.5:
        return "now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 86_400:
        return f"{duration(seconds)} ago"
    return "yesterday" if seconds < 172_800 else f"{seconds / 86_400:.0f} days ago"


def size(count_bytes: float) -> str:
    """Return a size for people: `812 B`, `1.2 kB`, `3.4 MB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count_bytes >= scale:
            return f"{count_bytes / scale:.1f} {unit}"
    return f"{count_bytes:.0f} B"
