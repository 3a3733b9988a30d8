"""Output of remote calls, in a real kernel: under the cell that made the call."""

from __future__ import annotations

import hashlib
import threading

import msgspec

from jupyter_faas.core import codec
from jupyter_faas.wire.frames import DISPLAY, STDERR, STDOUT, Frame, FrameKind
from tests.client.pretend_gateway import Frames, Hit, PretendGateway
from tests.notebook.kernel import Kernel
from tests.support import wait_until

END = Frame(FrameKind.END, b"\x80")
NONE = Frame(FrameKind.RESULT, b"".join(codec.dumps(None)))


def define(kernel: Kernel, name: str) -> None:
    kernel.run(
        f"from jupyter_faas import serverless\n@serverless\ndef {name}(*args): return args\n"
    )


def test_streams_stay_apart_and_carriage_returns_pass(
    kernel: Kernel, gateway: PretendGateway
) -> None:
    def answer(hit: Hit) -> Frames:
        yield Frame(FrameKind.LOG, b"10 %\r20 %\r", stream=STDOUT)
        yield Frame(FrameKind.LOG, b"careful\n", stream=STDERR)
        yield NONE
        yield END

    gateway.script("talks", answer)
    define(kernel, "talks")
    cell = kernel.run("print('before'); talks.remote(); print('after')")
    assert kernel.text(cell) == "before\n10 %\r20 %\rafter\n"
    assert kernel.text(cell, "stderr") == "careful\n"


def test_a_display_shows_in_the_calling_cell(kernel: Kernel, gateway: PretendGateway) -> None:
    bundle = {"data": {"text/html": "<b>3</b>", "text/plain": "3"}, "metadata": {}}

    def answer(hit: Hit) -> Frames:
        yield Frame(FrameKind.LOG, msgspec.msgpack.encode(bundle), stream=DISPLAY)
        yield NONE
        yield END

    gateway.script("shows", answer)
    define(kernel, "shows")
    cell = kernel.run("shows.remote()")
    shown = [m["content"]["data"] for m in kernel.displays(cell)]
    assert {"text/html": "<b>3</b>", "text/plain": "3"} in shown


def test_a_line_arrives_while_the_call_goes_on(kernel: Kernel, gateway: PretendGateway) -> None:
    go_on = threading.Event()

    def answer(hit: Hit) -> Frames:
        yield Frame(FrameKind.LOG, b"first line\n", stream=STDOUT)
        assert go_on.wait(10)
        yield NONE
        yield END

    gateway.script("slow", answer)
    define(kernel, "slow")
    cell = kernel.start("slow.remote()")
    try:
        while "first line" not in kernel.text(cell):
            kernel.collect(10)
    finally:
        go_on.set()
    kernel.finish(cell)


def test_lines_of_threads_go_to_the_cells_that_started_them(
    kernel: Kernel, gateway: PretendGateway
) -> None:
    go_on = threading.Event()

    def answer(hit: Hit) -> Frames:
        ((word,), _) = codec.loads(hit.body)
        assert go_on.wait(20)
        for number in range(1000):
            yield Frame(FrameKind.LOG, f"{word} {number}\n".encode(), stream=STDOUT)
        yield NONE
        yield END

    gateway.script("chatty", answer)
    define(kernel, "chatty")
    kernel.run("import threading\nfrom concurrent.futures import ThreadPoolExecutor")
    kernel.run("pool = ThreadPoolExecutor(1); pool.submit(int).result()")
    cells = {
        "one": kernel.run("a = threading.Thread(target=chatty.remote, args=('one',)); a.start()"),
        "two": kernel.run("b = pool.submit(chatty.remote, 'two')"),
        "three": kernel.run(
            "c = threading.Thread(target=lambda: chatty.remote('three')); c.start()"
        ),
    }
    go_on.set()
    kernel.run("a.join(); b.result(); c.join()")
    for word, cell in cells.items():
        wait_until(lambda: "999" in kernel.late(cell) or not kernel.collect(10), 20)  # noqa: B023
        # A front end takes no stream of a cell that has ended, but an update of its display.
        assert "".join(f"{word} {number}\n" for number in range(1000)) in kernel.late(cell)
        assert kernel.text(cell) == ""
        # The card of the first call comes before or after the cell's end; the place at its end.
        place = kernel.places(cell)[0]
        assert place["msg_type"] == "display_data"
        assert place["content"]["data"]["text/plain"] == ""
        shown = kernel.outputs[cell]
        assert "status" in [m["msg_type"] for m in shown[shown.index(place) :]]


def test_redirected_stdout_gets_the_output(kernel: Kernel, gateway: PretendGateway) -> None:
    def answer(hit: Hit) -> Frames:
        yield Frame(FrameKind.LOG, b"caught", stream=STDOUT)
        yield NONE
        yield END

    gateway.script("quiet", answer)
    define(kernel, "quiet")
    kernel.run("import contextlib, io\nheld = io.StringIO()")
    cell = kernel.run("with contextlib.redirect_stdout(held): quiet.remote()")
    assert kernel.text(cell) == ""
    assert kernel.value("held.getvalue()") == "'caught'"


def test_the_card_shows_under_the_cell_that_deployed(
    kernel: Kernel, gateway: PretendGateway
) -> None:
    source = "@serverless\ndef carded(x): return x + 1"
    made = kernel.run(source, "cell-6")
    cell = kernel.run("assert carded.remote(1) == 2", "cell-7")
    text = kernel.card(cell)["text/plain"]
    first, last = kernel.displays(cell)[0], kernel.displays(cell)[-1]
    assert last["msg_type"] == "update_display_data"
    ids = {m["content"]["transient"]["display_id"] for m in (first, last)}
    assert len(ids) == 1
    assert "carded  ·  revision 1" in text
    assert "ready in" in text
    origin = gateway.revisions["carded"][1].origin
    assert origin.cell_id == "cell-6"
    assert origin.source_digest == hashlib.sha256(source.encode()).hexdigest()
    said = [m["content"] for m in kernel.outputs[made] if m["msg_type"] == "execute_input"]
    assert origin.cell_number == said[0]["execution_count"] > 0


def test_what_a_name_contains_is_escaped_in_html(kernel: Kernel, gateway: PretendGateway) -> None:
    kernel.run("tag = '<script>alert(1)</script>'\n@serverless\ndef marked(x='<i>'): return tag")
    cell = kernel.run("marked.remote()")
    assert "<script>" not in kernel.card(cell)["text/html"]
