"""What runs while pictures are taken: functions of another notebook, and callers.

python -m tools.pictures.scene deploy | load
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time

import jupyter_faas as faas
from jupyter_faas import serverless

TEXTS = ("a great day", "so bad", "good, not great", "", "awful")


@serverless(scaledown_window=600)
def clean_text(text: str) -> str:
    """Return text as it is compared."""
    return text.strip().lower()


@serverless(scaledown_window=1)
def train(rows: int) -> int:
    """Do nothing any more: it is asleep."""
    return rows


@serverless
class Report:
    """Does not get ready."""

    def __init__(self) -> None:
        raise OSError("model.bin is not there")

    def make(self) -> str:
        """Return nothing, ever."""
        return ""


@serverless(max_containers=4, scaledown_window=600)
def simulate(seed: int) -> int:
    """Take its time, and fail now and then."""
    time.sleep(0.15)
    if seed % 61 == 13:
        raise ValueError("no solution")
    return seed


def deploy() -> None:
    """Bring everything into the state that is seen."""
    clean_text.remote(" Hello ")
    train.remote(1)
    simulate.deploy()
    with contextlib.suppress(faas.FaasError):
        Report.make.remote()


def load() -> None:
    """Call, until the process is ended."""
    score = faas.function("score")
    for number in range(9):
        threading.Thread(target=_call_on, args=(score, number), daemon=True).start()
    for _ in faas.function("simulate").map(range(1200), return_exceptions=True):
        pass


def _call_on(score: faas.RemoteFunction, number: int) -> None:
    first = number % len(TEXTS)
    for text in itertools.cycle(TEXTS[first:] + TEXTS[:first]):
        _call(score, text)


def _call(score: faas.RemoteFunction, text: str) -> None:
    with contextlib.suppress(ValueError):
        score.remote(text)


if __name__ == "__main__":
    {"deploy": deploy, "load": load}[sys.argv[1]]()
