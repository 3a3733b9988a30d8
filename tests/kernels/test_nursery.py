"""The zygotes of a process: told of in one thread while another one changes them."""

from __future__ import annotations

import threading
from typing import Any

from jupyter_faas.kernels.nursery import Nursery


class Zygote:
    """One that is retired by another thread as soon as it is looked at."""

    def __init__(self, kept: Nursery, pid: int) -> None:
        self.pid = self.birth = pid
        self._retire = threading.Thread(target=kept._retire, args=(self,))

    def is_usable(self) -> bool:
        self._retire.start()
        self._retire.join(0.2)  # it has to wait until all have been looked at
        return True

    def hang_up(self) -> None: ...

    def is_retired(self) -> bool:
        self._retire.join()
        return True


def test_zygotes_are_told_of_while_another_thread_replaces_them() -> None:
    kept: Any = Nursery()
    zygotes = [Zygote(kept, pid) for pid in (1, 2)]
    kept._zygotes.update({zygote.birth: zygote for zygote in zygotes})
    assert kept.pids() == [1, 2]
    assert all(zygote.is_retired() for zygote in zygotes)
    assert kept.pids() == []
