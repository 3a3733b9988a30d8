"""Credit: nothing is sent beyond the window, and nobody waits who may not."""

from __future__ import annotations

import asyncio
import threading

from jupyter_faas.execution.flow import Flow


async def test_a_task_waits_for_credit() -> None:
    flow = Flow(10, asyncio.get_running_loop())
    flow.take(15)
    assert not flow.has_room
    waiting = asyncio.ensure_future(flow.room())
    await asyncio.sleep(0)
    flow.give(3)
    await asyncio.sleep(0)
    assert not waiting.done()
    flow.give(3)
    await asyncio.wait_for(waiting, 20)
    assert flow.has_room


async def test_the_loops_thread_never_waits_in_a_call() -> None:
    flow = Flow(0, asyncio.get_running_loop())
    assert flow.wait() is False


async def test_a_thread_waits_for_credit() -> None:
    flow = Flow(0, asyncio.get_running_loop())
    began = threading.Event()

    def work() -> bool:
        began.set()
        return flow.wait()

    waiting = asyncio.ensure_future(asyncio.to_thread(work))
    await asyncio.to_thread(began.wait, 2)
    flow.give(1)
    assert await asyncio.wait_for(waiting, 20) is True


async def test_credit_of_many_threads_is_not_lost() -> None:
    flow = Flow(0, asyncio.get_running_loop())
    threads = [
        threading.Thread(target=lambda: [flow.take(1) for _ in range(1000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for _ in range(4000):
        flow.give(1)
    for thread in threads:
        thread.join()
    flow.give(1)
    assert flow.has_room
    flow.take(1)
    assert not flow.has_room
