"""What handles show: plain text and HTML, escaped."""

from __future__ import annotations

import pytest

import jupyter_faas as faas
from jupyter_faas.client import markup
from jupyter_faas.client.control import FunctionView
from jupyter_faas.client.progress import Progress, TerminalDisplay
from jupyter_faas.client.views import (
    LogLines,
    Replica,
    Revision,
    Scaling,
    Status,
    event_table,
    function_table,
    map_table,
    replica_table,
    revision_table,
)
from jupyter_faas.core import model

NASTY = "<script>alert('x')</script>"


def revision(number: int, **more: object) -> Revision:
    code = model.Code(digest="d", size_bytes=1234, entry="score", python="3.11", signature="(x)")
    return Revision(
        function="score",
        number=number,
        id="a" * 64,
        spec=model.RevisionSpec(code=code),
        created_at=100.0,
        state=model.RevisionState.READY,
        origin=model.Origin(notebook="work/score.ipynb", cell_id="3f2a-1"),
        **more,  # type: ignore[arg-type]
    )


def view(**more: object) -> FunctionView:
    replica = Replica(
        id="r-1", function="score", revision=2, state=model.ReplicaState.BUSY, in_flight=1
    )
    fields: dict[str, object] = {
        "name": "score",
        "latest": 2,
        "traffic": {1: 10, 2: 90},
        "state": "ready",
        "revisions": (revision(2), revision(1)),
        "replicas": (replica,),
        "scaled": {"at": 90.0, "reason": "2 → 5: 14 in flight over target 3", "before": 2},
    }
    return FunctionView(**(fields | more))  # type: ignore[arg-type]


def test_status_says_what_is() -> None:
    status = Status(view(), "http://here/function/score")
    text = repr(status)
    assert "score  ·  revision 2 · 90%, revision 1 · 10%" in text
    assert "●   1 of 0–10" in text
    assert "2 → 5: 14 in flight over target 3" in text
    assert status.is_ready
    asleep = Status(view(replicas=(), state="failed", reason=NASTY, traffic={}), "u")
    assert "asleep" in repr(asleep)
    assert NASTY in repr(asleep)
    assert NASTY not in asleep._repr_html_()
    assert not asleep.is_ready


def test_tables_have_text_and_html() -> None:
    shown = view()
    tables = [
        revision_table(shown.revisions, shown, 160.0),
        replica_table(shown.replicas, "score", 160.0),
        function_table([shown]),
        event_table(shown, 160.0),
    ]
    for table in tables:
        assert "score" in repr(table)
        assert "<table" in table._repr_html_()
    assert "1 min ago" in repr(tables[0])
    assert "score.ipynb, cell 3f2a-1" in repr(tables[0])
    assert list(tables[0]) == list(shown.revisions)
    assert repr(function_table([])) == "Functions: none"
    assert "none" in function_table([])._repr_html_()


def test_values_have_one_line() -> None:
    assert repr(revision(4)) == "Revision 4 of score, ready"
    assert repr(revision(4, reason="no module `x`")).endswith("ready: no module `x`")
    assert repr(Scaling()) == "min 0, max 10, buffer 0, idle 60 s"
    assert repr(LogLines(["a", "b"])) == "a\nb"
    assert repr(LogLines()) == "(nothing printed yet)"
    assert NASTY not in revision(4, reason=NASTY)._repr_html_()


def test_everything_displayed_has_html() -> None:
    replica = Replica(
        id=NASTY, function=NASTY, revision=1, state=model.ReplicaState.STARTING, reason=NASTY,
        how="forked", start_ms=9.0,
    )  # fmt: skip
    told = {"id": NASTY, "function": "f", "done": 3, "total": None, "note": f"why {NASTY}"}
    maps = map_table([told], 0.0)
    shown = [
        replica,
        Scaling(),
        LogLines([NASTY]),
        LogLines(),
        maps,
        revision(1),
        faas.serverless(view),
    ]
    for one in shown:
        html = one._repr_html_()  # type: ignore[attr-defined]
        assert html.startswith("<")
        assert NASTY not in html
    assert "9 ms (forked)" in replica._repr_html_()
    assert "3 / ?" in repr(maps)
    assert "why" in repr(maps)


def test_the_card_tells_steps_and_what_to_do() -> None:
    now_s = [1.0]
    progress = Progress("score", lambda: now_s[0])
    progress.begin("capture")
    now_s[0] = 1.002
    progress.begin("start")
    progress.revision, progress.fields = 4, [("captured", "code"), ("call it", "score.remote(x)")]
    assert "start …" in repr(progress)
    now_s[0] = 3.002
    assert "start 2.0 s" in repr(progress)
    progress.wait("no node has 64 CPUs free")
    assert "◌ waiting 2 s: no node has 64 CPUs free" in repr(progress)
    now_s[0] = 1.030
    progress.end("ready")
    lines = repr(progress).splitlines()
    assert lines[0].endswith("ready in 30 ms")
    assert "capture 2 ms → start 28 ms" in repr(progress)
    assert lines[-1].strip() == "call it   score.remote(x)"


def test_the_card_has_what_the_gateway_measured_and_a_line_for_a_shell() -> None:
    now_s = [0.0]
    progress = Progress("score", lambda: now_s[0], diff="-a\n+b", curl="curl … here")
    for step, at_s in (("capture", 0.0), ("upload", 0.002), ("start", 0.003)):
        now_s[0] = at_s
        progress.begin(step)
    now_s[0] = 9.0
    progress.end("ready")
    progress.measured("forked", 0.009, 0.026)
    text = repr(progress)
    assert "capture 2 ms → upload 1 ms → start 9 ms (forked) → load 26 ms" in text
    assert "ready in 38 ms" in text
    assert text.endswith("http      curl … here")
    html = progress._repr_html_()
    assert "<summary" in html
    assert "curl … here</pre>" in html


def test_a_failed_card_ends_with_the_reason() -> None:
    progress = Progress("score", lambda: 0.0)
    progress.begin("start")
    progress.fields = [("call it", "score.remote(x)")]
    progress.fail(f"the runner has no module {NASTY}")
    assert "✕ not ready" in repr(progress)
    assert "call it" not in repr(progress)
    assert NASTY not in progress._repr_html_()


def test_an_interrupted_card_says_what_goes_on_and_another_one_takes_its_time_over() -> None:
    now_s = [0.0]
    card = Progress("score", lambda: now_s[0])
    card.begin("start")
    card.wait("no node has room")
    now_s[0] = 2.0
    card.interrupt("The next call waits for it.")
    key, text = card.key, repr(card)
    assert "✕ interrupted" in text.splitlines()[0]
    assert text.splitlines()[2:] == [
        " steps     start 2.0 s",
        " ✕         The next call waits for it.",
    ]
    card.resume()
    now_s[0] = 5.0
    card.end("ready")
    assert (card.steps, card.reason, card.waiting) == ([("start", 5.0)], "", "")
    assert card.key != key
    card.resume()
    assert card.state == "ready"


def test_a_script_is_not_told_about_deployments(capsys: pytest.CaptureFixture[str]) -> None:
    display = TerminalDisplay()
    progress = Progress("score", lambda: 0.0)
    display.update(progress)
    display.finish(progress)
    assert capsys.readouterr() == ("", "")
    display.warn("revision 1 answered")
    assert capsys.readouterr() == ("", "revision 1 answered\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0381, "38 ms"), (2.44, "2.4 s"), (180, "3 min"), (7200, "2.0 h")],
)
def test_durations_have_a_unit(seconds: float, text: str) -> None:
    assert markup.duration(seconds) == text


@pytest.mark.parametrize(
    ("then_s", "text"),
    [
        (0, "–"),
        (999_999.5, "now"),
        (999_950, "50 s ago"),
        (999_000, "17 min ago"),
        (900_000, "yesterday"),
        (500_000, "6 days ago"),
    ],
)
def test_times_are_relative(then_s: float, text: str) -> None:
    assert markup.ago(then_s, 1_000_000) == text


@pytest.mark.parametrize(
    ("gb_s", "text"),
    # The same cases as in labextension/tests/model/format.test.ts.
    [(0, "0.0 GB·s"), (0.04, "0.04 GB·s"), (2.5, "2.5 GB·s"), (42, "42 GB·s"), (3024, "0.84 GB·h")],
)
def test_memory_times_time_is_said_as_the_panel_says_it(gb_s: float, text: str) -> None:
    assert markup.memory_time(gb_s * 1024) == text


def test_sizes_have_a_unit() -> None:
    assert [markup.size(n) for n in (812, 1234, 3_400_000, 5e9)] == [
        "812 B",
        "1.2 kB",
        "3.4 MB",
        "5.0 GB",
    ]
