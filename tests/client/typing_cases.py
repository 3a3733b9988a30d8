"""Checked by mypy --strict in test_typing.py: what type checkers see of decorated functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from jupyter_faas import Retries, serverless


@serverless
def plain(x: int, *, loud: bool = False) -> str:
    return str(x)


@serverless(max_containers=3, memory="2Gi", retries=Retries(2))
def configured(x: int) -> list[int]:
    return [x]


@serverless
async def later(x: int) -> float:
    return x / 2


@serverless
def items(n: int) -> Iterator[int]:
    yield n


@serverless(timeout=3)
async def items_later(n: int) -> AsyncIterator[str]:
    yield str(n)


@serverless
class Model:
    def predict(self, x: int) -> int:
        return x


async def use() -> None:
    assert_type(plain(1), str)
    assert_type(plain.local(1, loud=True), str)
    assert_type(plain.remote(1, loud=True), str)
    assert_type(await plain.remote.aio(1), str)
    assert_type(configured.remote(1), list[int])
    assert_type(await later(1), float)
    assert_type(later.remote(1), float)
    assert_type(await later.remote.aio(1), float)
    assert_type(next(items.remote(3)), int)
    async for item in items.remote.aio(3):
        assert_type(item, int)
    assert_type(next(items_later.remote(3)), str)
    async for text in items_later(3):
        assert_type(text, str)
    Model.predict.remote(3)  # type: ignore[attr-defined]  # mypy ignores class decorators


plain("one")  # type: ignore[arg-type]
plain.remote(1, quiet=True)  # type: ignore[call-arg]
plain.remote()  # type: ignore[call-arg]
serverless(max_container=3)  # type: ignore[call-overload]
