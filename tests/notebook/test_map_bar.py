"""The bar of a map, in a real kernel: under its cell, one line at the end."""

from __future__ import annotations

from tests.notebook.kernel import Kernel

SET_UP = """
import threading
import jupyter_faas
from jupyter_faas.client.map_progress import MapProgress
from jupyter_faas.client.session import session
class Clock:
    now_s = 0.0
    def __call__(self): return self.now_s
clock = Clock()
"""

WORK = """
def work():
    for done in range(1, 1001):
        clock.now_s += 0.01
        progress.note(done=done, running=2)
    progress.end("done")
"""


def test_a_bar_stays_under_its_cell_and_ends_as_one_line(kernel: Kernel) -> None:
    kernel.run(SET_UP + WORK)
    cell = kernel.run(
        "progress = MapProgress('score.map', clock, total=1000)\n"
        "progress.begin(session.map_display())"
    )
    kernel.run("t = threading.Thread(target=work); t.start(); t.join()")
    shown = kernel.displays(cell)
    assert shown[0]["msg_type"] == "display_data"
    assert {m["msg_type"] for m in shown[1:]} == {"update_display_data"}
    assert len({m["content"]["transient"]["display_id"] for m in shown}) == 1
    assert len(shown) <= 2 + 4 * 10
    assert shown[-1]["content"]["data"]["text/plain"] == "score.map: 1 000 in 10.0 s"
    assert "progressbar" in shown[1]["content"]["data"]["text/html"]
    assert "progressbar" not in shown[-1]["content"]["data"]["text/html"]
