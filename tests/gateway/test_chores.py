from __future__ import annotations

import asyncio

from jupyter_faas.gateway.chores import Chores
from tests.gateway.conftest import until


async def test_chores_are_done_only_by_who_leads_and_one_that_fails_stops_no_other(caplog):
    done, leads = [], False

    async def fails():
        done.append("fails")
        raise RuntimeError("no")

    async def works():
        done.append("works")

    chores = Chores(lambda: leads, {"fails": fails, "works": works}, every_s=0.001)
    await chores.round()
    assert done == []
    leads = True
    chores.start()
    await until(lambda: len(done) >= 4, "again and again")
    await chores.close()
    assert done[:4] == ["fails", "works", "fails", "works"]
    assert "a chore failed: fails" in caplog.text


async def test_who_stops_leading_stops_in_the_middle():
    done, leads = [], True

    async def first():
        nonlocal leads
        leads = False
        done.append("first")

    async def second():
        done.append("second")

    await Chores(lambda: leads, {"first": first, "second": second}, 1.0).round()
    await asyncio.sleep(0)
    assert done == ["first"]
