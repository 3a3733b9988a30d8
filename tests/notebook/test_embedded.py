"""Magics, cards and panels in a real kernel with an embedded gateway of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.notebook.kernel import Kernel
from tests.support import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def token(state: Path) -> str:
    return str(json.loads((state / "gateway.json").read_text())["token"])


def results(kernel: Kernel, cell: str) -> list[dict[str, str]]:
    return [
        message["content"]["data"]
        for message in kernel.outputs[cell]
        if message["msg_type"] == "execute_result"
    ]


def test_looking_starts_no_gateway(live: Kernel, state: Path) -> None:
    cell = live.run("%faas panel")
    texts = [shown["content"]["data"]["text/plain"] for shown in live.displays(cell)]
    texts += [shown["text/plain"] for shown in results(live, cell)]
    assert "None running: it starts with the first call." in "".join(texts)
    assert not (state / "gateway.json").exists()


def test_a_cell_runs_in_a_replica(live: Kernel) -> None:
    live.run(
        "import os, pandas as pd\nk = 10\ndef helper(n): return n * k\n"
        "df = pd.DataFrame({'a': [1, 2]})"
    )
    cell = live.run("%%faas run\nprint('there')\nmodel = helper(4)\n(model, os.getpid())")
    assert "there" in live.text(cell)
    assert "serverless(cell).remote()" in live.text(cell)
    assert live.value("_[0], _[1] != os.getpid()") == "(40, True)"
    assert live.value("'model' in globals()") == "False"


def test_wanted_names_come_back_and_the_value_is_out(live: Kernel) -> None:
    cell = live.run(
        "%%faas run -o df,total --memory 256\ndf = df.assign(b=df.a * k)\ntotal = 3\ndf.head(1)"
    )
    (shown,) = results(live, cell)
    assert "<table" in shown["text/html"]
    assert live.value("list(df.columns), total, len(_)") == "(['a', 'b'], 3, 1)"
    assert "serverless(memory=256)(cell).remote()" in live.text(cell)


def test_running_a_cell_again_begins_anew(live: Kernel) -> None:
    live.run("count = 0")
    for _ in range(2):
        live.run("%%faas run -o seen\ncount = count + 1\nseen = count")
        assert live.value("seen, count") == "(1, 0)"


def test_nobody_is_told_to_call_a_run_again(live: Kernel) -> None:
    card = live.card(live.run("%%faas run\nnothing = 1"))["text/plain"]
    assert "ready in" in card
    assert "call it" not in card
    assert "curl" not in card


def test_what_cannot_be_sent_is_told_by_the_tree_alone(live: Kernel) -> None:
    cell = live.start(
        "import threading\nlock = threading.Lock()\n"
        "@serverless\ndef locked(): return lock\nlocked.deploy()"
    )
    with pytest.raises(AssertionError, match="NotSerializable") as raised:
        live.finish(cell)
    assert "capture.py" not in str(raised.value)
    # A card has an id: there is one if capturing took a while.
    (tree,) = (one for one in live.displays(cell) if not one["content"]["transient"])
    assert tree["content"]["data"]["text/plain"].startswith(" locked cannot be sent")


def test_nothing_of_a_run_is_left(live: Kernel) -> None:
    assert "cell-" not in live.value("%faas list")


def test_what_a_run_raises_is_raised_with_the_lines_of_the_cell(live: Kernel) -> None:
    error = live.error("%%faas run\nx = 1\nraise ValueError(f'no {x}')")
    assert (error["ename"], error["evalue"].splitlines()[0]) == ("ValueError", "no 1")
    text = "\n".join(error["traceback"])
    assert "raise ValueError(f'no {x}')" in text
    assert "magics.py" not in text
    assert "cell_run.py" not in text
    assert re.search(r"line 2\b", text.partition("Where")[0])


def test_what_cannot_travel_back_is_shown_from_there(live: Kernel) -> None:
    cell = live.run("%%faas run\n(n for n in range(3))")
    shown = [m["content"]["data"].get("text/plain", "") for m in live.displays(cell)]
    assert any("generator object" in text for text in shown)


def test_await_works_in_a_run(live: Kernel) -> None:
    live.run("%%faas run\nimport asyncio\nawait asyncio.sleep(0, 5)")
    assert live.value("_") == "5"


def test_a_syntax_error_is_the_cells_own(live: Kernel) -> None:
    cell = live.start("%%faas run\nx = = 3")
    with pytest.raises(AssertionError, match="SyntaxError"):
        live.finish(cell)


def test_the_card_tells_what_is_new_and_how_it_started(live: Kernel, state: Path) -> None:
    live.run("threshold = 0.5")
    live.run("%%faas deploy\ndef judge(text: str, n=3):\n    return len(text) > threshold")
    live.run("threshold = 0.9")
    cell = live.run("%%faas deploy\ndef judge(text: str, n=3):\n    return len(text) >= threshold")
    card = live.card(cell)
    text = card["text/plain"]
    assert "judge  ·  revision 2" in text
    assert "code (1 line)   threshold 0.5 → 0.9" in text
    assert "local, python 3." in text
    assert re.search(r"capture .* → upload .* → start .* \(forked.*\) → load .*s", text)
    assert "judge.remote(text, n)   judge.panel()" in text
    assert """curl -H "$(jupyter-faas auth-header)" -d '{"text": "text"}' http://""" in text
    html = card["text/html"]
    assert "-    return len(text) &gt; threshold" in html
    assert "+    return len(text) &gt;= threshold" in html
    assert token(state) not in repr(live.outputs)


def test_a_failure_replaces_the_last_line_of_the_card(live: Kernel) -> None:
    live.run("@serverless\nclass Model:\n    def predict(self, x): return x\nModel.deploy()")
    cell = live.start(
        "%%faas deploy\n@serverless\nclass Model:\n"
        "    def __init__(self): raise ValueError('<b>no</b>')\n"
        "    def predict(self, x): return x"
    )
    with pytest.raises(AssertionError, match="<b>no</b>"):
        live.finish(cell)
    card = live.card(cell)
    assert "✕ not ready" in card["text/plain"]
    assert "Revision 1 keeps serving." in card["text/plain"]
    assert "call it" not in card["text/plain"]
    assert "<b>no</b>" not in card["text/html"]
    assert live.value("Model.status().state") == "'ready'"


def test_deploying_the_same_again_says_that_it_is_live(live: Kernel) -> None:
    live.run("@serverless\ndef same(x): return x\nsame.deploy()")
    cell = live.run("same.deploy()")
    assert "live already" in live.card(cell)["text/plain"]


def test_the_card_of_a_function_that_another_one_calls_ends_too(live: Kernel) -> None:
    cell = live.run(
        "@serverless\ndef leaf(x): return x\n"
        "@serverless\ndef stem(x): return leaf.remote(x)\nstem.remote(1)"
    )

    def cards() -> list[str]:
        texts = {
            one["content"]["transient"]["display_id"]: one["content"]["data"]["text/plain"]
            for one in live.displays(cell)
        }
        return [text for text in texts.values() if "ready in" in text]

    while len(cards()) < 2:
        live.collect(30.0)


@pytest.mark.parametrize("use", ["spawn(1)", "spawn_map([1])"])
def test_the_card_ends_when_the_first_use_goes_on_by_itself(live: Kernel, use: str) -> None:
    name = use.partition("(")[0].replace("_", "-")
    cell = live.run(f"@serverless(name='{name}')\ndef alone(x): return x\nlater = alone.{use}")
    assert "ready in" in live.card(cell)["text/plain"]


def test_mistakes_of_maps_show_the_line_of_the_person_alone(live: Kernel) -> None:
    live.run(
        "import threading\nimport jupyter_faas as faas\n"
        "@serverless\ndef failing(x): return x / 0\n"
        "@serverless\ndef mapped(x): return x\nlater = mapped.spawn_map([1])"
    )
    for wrong, said in [
        ("mapped.map([1], engine='dask')", "engine='dask'"),
        ("mapped.starmap([(1,)], chunksize=0)", "chunksize=0"),
        ("mapped.spawn_map([threading.Lock()])", "cannot be"),
        ("mapped.spawn(threading.Lock())", "cannot be"),
        ("type(later).from_id('nobody')", "nobody"),
        ("next(later.results(start=-1))", "start=-1: allowed is"),
        ("mapped.map(5)", "goes over iterables, and int is none"),
        ("mapped.starmap([(1,), 2])", "item 1 is no tuple of arguments but int"),
        ("list(mapped.map(1 / x for x in (1, 0)))", "division by zero"),
        ("list(mapped.starmap(x for x in (1, 2)))", "item 0 is no tuple of arguments but int"),
        ("faas.function('nobody')", "nobody"),
        ("serverless(lambda x: x)", "cannot be the name of a function"),
        ("serverless(memory='much')(int)", "much"),
        ("serverless(name='n')(int.bit_length)", "not an object of type"),
        ("faas.gather(mapped.spawn(1), failing.spawn(1))", "ZeroDivisionError"),
    ]:
        # Behind what cannot be pickled stands what pickle raised, maybe in the person's own code.
        told = "\n".join(live.error(wrong)["traceback"]).rpartition("direct cause")[2]
        assert said in told
        assert "jupyter_faas/" not in told, told


def test_the_card_moves_while_a_step_takes_time(live: Kernel, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    cell = live.start(
        "%%faas deploy\n@serverless\nclass Slow:\n    def __init__(self):\n"
        "        import os, time\n"
        f"        while not os.path.exists({str(go_on)!r}): time.sleep(0.01)\n"
        "    def get(self): return 1"
    )

    def seconds() -> set[str]:
        texts = "\n".join(one["content"]["data"]["text/plain"] for one in live.displays(cell))
        return set(re.findall(r"start \d+\.\d s", texts))

    while len(seconds()) < 2:
        live.collect(30.0)
    go_on.touch()
    live.finish(cell)
    assert "ready in" in live.card(cell)["text/plain"].splitlines()[0]


def test_a_map_shows_its_bar_and_its_prints_under_its_cell(live: Kernel) -> None:
    live.run(
        "@serverless\ndef half(x):\n    print('half of', x)\n"
        "    if x == 3: raise ValueError('<i>three</i>')\n    return x / 2"
    )
    cell = live.run("got = list(half.map(range(6), return_exceptions=True))")
    assert live.value("got[4], type(got[3]).__name__") == "(2.0, 'ValueError')"
    # Not the place of late output, which a cell may leave beside its bar.
    shown = [one["content"]["data"] for one in live.displays(cell)]
    bars = [data for data in shown if "text/html" in data]
    ended = [bar["text/plain"] for bar in bars if "half.map: " in bar["text/plain"]]
    assert re.fullmatch(r"half\.map: 6 in .*s, 1 failed", ended[-1])
    assert "<i>three</i>" not in "".join(bar["text/html"] for bar in bars)

    def printed() -> list[str]:
        live.run("None")
        return sorted((live.text(cell) + live.late(cell)).splitlines())

    wait_until(lambda: printed() == [f"half of {x}" for x in range(6)], seen=printed)
    assert "half" in live.value("%faas maps")
    unread = live.run("unread = half.map([0, 1, 2])")

    def bar() -> str:
        live.run("None")
        bars = [one["content"]["data"]["text/plain"] for one in live.displays(unread)]
        return next((text for text in reversed(bars) if "half.map" in text), "")

    wait_until(lambda: "3/3" in bar(), 20.0, seen=bar)
    assert live.value("list(unread)") == "[0.0, 0.5, 1.0]"
    assert "faas.gateway().maps()" in live.text(live.run("%faas maps"))
