"""The forms of a map's progress: tqdm's line, the line that stays, the notebook's bar. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_faas.client import markup
from jupyter_faas.core.errors import FaasError

if TYPE_CHECKING:
    from jupyter_faas.client.map_progress import MapProgress

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SPARKS = "▁▂▃▄▅▆▇█"
_BAR_WIDTH = 10
_SLOW_S = 1.0
"""Of items that are quicker than this the slowest one is no news."""
_LONGEST = 300
"""So many characters of a reason are shown; all of it is in the error."""
_QUIET = "color:var(--jp-ui-font-color2,#666)"


def one_line(error: BaseException | None) -> str:
    """Return an error as it is told in a line: `KeyError: 'k'`; the platform's own as they are."""
    if error is None or isinstance(error, FaasError):
        return in_line(str(error or ""))
    text = in_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def in_line(text: str) -> str:
    """Return of a text, of any length, what there is room for in a line: its first one."""
    line = text.lstrip().partition("\n")[0]
    return line if len(line) <= _LONGEST else line[:_LONGEST] + " …"


def line(progress: MapProgress) -> str:
    """Return one line: while it runs in tqdm's form, at the end what stays.

    `score.map  71 %|███████▏  | 7102/10000  [00:41<00:17, 171/s]  3 failed`
    """
    if progress.state != "running":
        return f"{progress.name}: {end_text(progress)}"
    failed = failed_text(progress)
    head = f"{progress.name}  "
    if progress.total:
        share = progress.done / progress.total
        head += f"{share:3.0%}".replace("%", " %") + f"|{bar(share)}| "
        head += f"{progress.done}/{progress.total}"
    else:
        head += f"{progress.done} done"
    return f"{head}  {_times(progress)}" + (f"  {failed}" if failed else "")


def end_text(progress: MapProgress) -> str:
    """Return what is said at the end: `10 000 in 58 s, 3 failed`."""
    said = f"{markup.count(progress.done)} in {markup.duration(progress.elapsed_s)}"
    if progress.state == "cancelled":
        of = "" if progress.total is None else f" of {markup.count(progress.total)}"
        said = f"cancelled after {markup.count(progress.done)}{of}, {_spent(progress)}"
    elif progress.state == "failed":
        said = f"✕ stopped after {markup.count(progress.done)}, {_spent(progress)}"
    failed = failed_text(progress)
    reason = f": {progress.reason}" if progress.reason else ""
    return said + (f", {failed}" if failed else "") + reason


def failed_text(progress: MapProgress) -> str:
    """Return `3 failed`; empty: none."""
    return f"{markup.count(progress.failed)} failed" if progress.failed else ""


def html(progress: MapProgress) -> str:
    """Return the notebook's form."""
    if progress.state != "running":
        said = f"{_name(progress)}: {markup.escape(end_text(progress))}"
        return f"<div>{said}{_details(progress)}{_remark(progress)}</div>"
    return f"<div>{_bar_html(progress)}{_aside(progress)}</div>"


def bar(share: float, width: int = _BAR_WIDTH) -> str:
    """Return a bar of block characters for a share of 0 to 1: `███████▏  `."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    part = _EIGHTHS[rest] if rest else ""
    return ("█" * full + part).ljust(width)


def spark(shares: Sequence[float]) -> str:
    """Return one block per share of 0 to 1: `▇▇▅▇`."""
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[round(min(max(share, 0.0), 1.0) * top)] for share in shares)


def clock_text(seconds: float) -> str:
    """Return tqdm's form of a duration: `00:41`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _times(progress: MapProgress) -> str:
    elapsed_s = progress.elapsed_s
    rate = progress.done / elapsed_s if elapsed_s > 0 else 0.0
    left = "?"
    if progress.total is not None and rate > 0:
        left = clock_text((progress.total - progress.done) / rate)
    shown = f"{rate:.0f}/s" if rate >= 10 else f"{rate:.2f}/s" if rate > 0 else "?/s"
    return f"[{clock_text(elapsed_s)}<{left}, {shown}]"


def _spent(progress: MapProgress) -> str:
    return markup.duration(progress.elapsed_s)


def _name(progress: MapProgress) -> str:
    return f"<b>{markup.escape(progress.name)}</b>"


def _bar_html(progress: MapProgress) -> str:
    share = progress.done / progress.total if progress.total else 0.0
    text = f"{share:.0%}".replace("%", " %") if progress.total else ""
    count = f"{markup.count(progress.done)}"
    if progress.total is not None:
        count += f" / {markup.count(progress.total)}"
    failed = failed_text(progress)
    parts = [count, f"{markup.count(progress.running)} running", _times(progress), failed]
    said = "".join(f"<span>{markup.escape(part)}</span>" for part in parts if part)
    return (
        '<div style="display:flex;gap:1em;align-items:center;white-space:nowrap;'
        'font-variant-numeric:tabular-nums">'
        f"{_name(progress)}<span>{text}</span>"
        '<span role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share * 100:.0f}" style="flex:1 1 4em;max-width:16em;min-width:3em;'
        'height:1em;border:1px solid var(--jp-border-color2,#ccc)">'
        '<span style="display:block;height:100%;'
        f'width:{share * 100:.1f}%;background:var(--jp-brand-color1,#1976d2)"></span></span>'
        f"{said}</div>"
    )


def _aside(progress: MapProgress) -> str:
    parts = []
    if progress.workers:
        parts.append(f"workers {spark(progress.workers)}")
    if progress.slowest is not None and progress.slowest[1] >= _SLOW_S:
        index, seconds = progress.slowest
        parts.append(f"slowest item {markup.duration(seconds)} (#{index})")
    said = "".join(f"<span>{markup.escape(part)}</span>" for part in parts)
    line = f'<div style="display:flex;flex-wrap:wrap;gap:0 1em;{_QUIET}">{said}</div>'
    return (line if parts else "") + _remark(progress)


def _remark(progress: MapProgress) -> str:
    if not progress.remark:
        return ""
    return f'<div style="{_QUIET}">{markup.escape(progress.remark)}</div>'


def _details(progress: MapProgress) -> str:
    """Return the failed items, folded, and how to run them again."""
    if not progress.failures:
        return ""
    rows = [(f"#{index}", text) for index, text in progress.failures]
    more = progress.failed - len(rows)
    if more > 0:
        rows.append(("", f"and {markup.count(more)} more"))
    retry = (
        f"<div>again: <code>run.retry_failed()</code> of run {markup.escape(progress.run_id)}</div>"
        if progress.run_id
        else ""
    )
    table = markup.html_table(("item", "raised"), rows)
    return f"<details><summary>show what failed</summary>{table}{retry}</details>"
