from __future__ import annotations

import msgspec

from jupyter_faas.core.diff import changes
from jupyter_faas.core.model import Code, Place, Resources, RevisionSpec

CODE = Code(
    digest="a" * 64, size_bytes=1, entry="f", python="3.11", modules={"numpy": "2.0", "old": "1"}
)
OLD = RevisionSpec(
    code=CODE,
    env={"A": "1", "B": "2"},
    place=Place(interpreter="/py", cwd="/a", environ={"X": "1"}),
)


def test_nothing_changed_says_nothing() -> None:
    assert changes(OLD, OLD) == []


def test_changes_are_short_phrases_without_values_of_the_environment() -> None:
    new = msgspec.structs.replace(
        OLD,
        code=msgspec.structs.replace(
            CODE, digest="b" * 64, size_bytes=9, modules={"numpy": "2.1", "new": "1"}
        ),
        env={"A": "secret", "C": "3"},
        resources=Resources(memory_mib=1024, cpu=0.25),
        timeout_s=60.0,
        packages=("numpy>=2", "x"),
        place=Place(interpreter="/py", cwd="/b", environ={"X": "2"}),
        image="img",
    )
    assert changes(OLD, new) == [
        "code",
        "new none → 1",
        "numpy 2.0 → 2.1",
        "old 1 → none",
        "env A changed",
        "env B removed",
        "env C added",
        "image none → img",
        "packages none → numpy>=2, x",
        "working directory /a → /b",
        "cpu 0.1 → 0.25",
        "memory 512 → 1024",
        "timeout 300 → 60",
    ]
