from __future__ import annotations

import asyncio
import gc

import pytest

from jupyter_faas.wire.background import Background


async def test_what_has_begun_is_held_and_waited_for():
    done = []
    background = Background("a test")

    async def work(value):
        await asyncio.get_running_loop().run_in_executor(None, int)
        done.append(value)

    background.run(work(1))
    background.run(work(2))
    gc.collect()
    await background.ended()
    assert sorted(done) == [1, 2]
    await background.ended()


@pytest.mark.parametrize(("what", "lines"), [("a test", 1), ("", 0)])
async def test_what_fails_is_logged_unless_whoever_began_it_looks(what, lines, caplog):
    background = Background(what)

    async def fails():
        raise ValueError("no")

    task = background.run(fails())
    await background.ended()
    assert isinstance(task.exception(), ValueError)
    assert [r.message for r in caplog.records] == [f"{what} failed"] * lines


async def test_closing_cancels_and_waits_until_it_has_ended(caplog):
    seen = []
    background = Background("a test")

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("ended")

    background.run(work())
    await asyncio.sleep(0)
    await background.close()
    assert seen == ["ended"]
    assert not caplog.records


async def test_whoever_waits_for_the_end_and_is_cancelled_ends_nothing():
    background, go = Background("a test"), asyncio.Event()
    task = background.run(go.wait())
    waiting = asyncio.ensure_future(background.ended())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not task.done()
    go.set()
    await background.ended()
