"""Pure parts of the runner: cutting bodies, judging deaths, backing off, taking bodies in."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.errors import BadRequest, PayloadTooLarge, ProviderError
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.execution.traceback import PLATFORM_FOLDER
from jupyter_faas.runner import crash_loop, family
from jupyter_faas.runner.channel import (
    BEGINS,
    PIECE_BYTES,
    TOTAL,
    Channel,
    advance,
    join_head,
    late_body,
    pieces,
    rights,
    split_head,
)
from jupyter_faas.runner.crash import stack_of
from jupyter_faas.runner.crash_loop import CrashLoop
from jupyter_faas.runner.demise import demise
from jupyter_faas.runner.family import describe_status
from jupyter_faas.runner.forking import Replica
from jupyter_faas.runner.installed import installed
from jupyter_faas.runner.intake import Body
from jupyter_faas.runner.package_source import package_of
from jupyter_faas.runner.zygote import Zygote
from jupyter_faas.wire.frames import Frame, FrameKind, FrameReader, encode, encode_header
from tests.support import state_dir

MIB = 1 << 20


@given(st.lists(st.integers(0, 3 * PIECE_BYTES), max_size=4))
def test_pieces_carry_exactly_what_they_were_given(sizes: list[int]) -> None:
    parts = [bytes([i + 1]) * size for i, size in enumerate(sizes)]
    reader = FrameReader()
    frames = [
        found
        for frame in pieces(FrameKind.RESULT, parts, tag=7)
        for found in reader.feed(b"".join(frame))
    ]
    whole = b"".join(parts)
    if len(whole) <= PIECE_BYTES:
        assert [frame.body for frame in frames] == [whole]
        return
    assert frames[0].flags == BEGINS
    assert TOTAL.unpack_from(frames[0].body)[0] == len(whole)
    assert b"".join(frame.body for frame in frames)[TOTAL.size :] == whole
    assert all(len(frame.body) <= PIECE_BYTES + TOTAL.size for frame in frames)
    assert {frame.tag for frame in frames} == {7}


@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(0, 200))
def test_advance_leaves_what_was_not_sent(buffers: list[bytes], sent: int) -> None:
    whole = b"".join(buffers)
    sent = min(sent, len(whole))
    assert b"".join(advance(list(buffers), sent)) == whole[sent:]


def test_a_head_and_its_payload_are_told_apart() -> None:
    prefix, length = join_head(b"head", 3)
    assert length == len(prefix) + 3
    head, payload = split_head(prefix + b"abc")
    assert (bytes(head), bytes(payload)) == (b"head", b"abc")


def test_late_output_names_its_invocation() -> None:
    assert late_body("ab", b"text") == b"\x02abtext"
    assert late_body("", b"text") == b"\0text"


def test_the_channel_passes_frames_and_descriptors() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    read, write = os.pipe()
    ours.sendmsg([encode(Frame(1, b"one", 5)), encode_header(2, 0)], rights([read]))
    assert channel.receive() == Frame(1, b"one", 5)
    assert channel.receive() == Frame(2)
    os.write(write, b"through")
    fd = channel.take_fd()
    assert os.read(fd, 10) == b"through"
    assert channel.receive_ready() == []
    ours.close()
    assert channel.receive() is None
    assert channel.receive_ready() is None
    channel.close()
    for each in (read, write, fd):
        os.close(each)


def test_a_death_is_told_in_words() -> None:
    assert describe_status(256 * 3) == "exited with code 3"
    assert "SIGSEGV" in describe_status(signal.SIGSEGV)
    assert demise(signal.SIGSEGV, b"", 0)[0] == "crashed"
    assert demise(signal.SIGKILL, b"", 0)[0] == "crashed"
    assert demise(signal.SIGKILL, b"", 1)[0] == "out_of_memory"
    assert demise(signal.SIGABRT, b"what():  std::bad_alloc", 0)[0] == "out_of_memory"
    assert demise(256, b"MemoryError", 0)[0] == "out_of_memory"
    assert demise(0, b"MemoryError", 0)[0] == "crashed"


def test_the_stack_of_a_crash_is_that_of_the_persons_code() -> None:
    frames = [
        '  File "/usr/lib/ctypes/__init__.py", line 517 in string_at',
        '  File "cell 3", line 4 in crash',
        "  ...",
        f'  File "{PLATFORM_FOLDER}execution/items.py", line 170 in _call',
        '  File "<frozen runpy>", line 88 in _run_code',
    ]
    other = ["Thread 0x1 (most recent call first):", '  File "cell 3", line 9 in other', ""]
    head = ["Fatal Python error: Segmentation fault", ""]
    dump = [*head, *other, "Current thread 0x2 (most recent call first):", *frames, "", "Extension"]
    assert stack_of("\n".join(dump)).splitlines() == [
        "Traceback (most recent call last):",
        '  File "cell 3", line 4, in crash',
        '  File "/usr/lib/ctypes/__init__.py", line 517, in string_at',
    ]


@pytest.mark.parametrize(
    "dump", ["", "no dump", "Current thread 0x2", "Current thread 0x2 (most …):\n  <no frame>\n"]
)
def test_a_dump_without_a_stack_tells_nothing(dump: str) -> None:
    assert stack_of(dump) == ""


def test_losses_in_a_row_back_off_and_end() -> None:
    loop = CrashLoop()
    delays = [loop.lost(was_loading=False) for _ in range(crash_loop.MAX_LOSSES)]
    assert delays[: crash_loop.FREE_LOSSES] == [0.0] * crash_loop.FREE_LOSSES
    assert delays[-1] is None
    between = [delay for delay in delays[crash_loop.FREE_LOSSES : -1] if delay is not None]
    assert between == sorted(between)
    assert max(between) == crash_loop.MAX_DELAY_S


def test_a_call_that_ended_forgets_earlier_losses() -> None:
    loop = CrashLoop()
    for _ in range(100):
        assert loop.lost(was_loading=False) == 0.0
        loop.succeeded()


def test_losses_while_loading_end_sooner() -> None:
    loop = CrashLoop()
    assert [loop.lost(was_loading=True) for _ in range(3)] == [0.0, 0.0, None]


def test_a_small_body_stays_in_memory_and_a_large_one_does_not() -> None:
    small, large = Body(10 * MIB, has_digest=True), Body(10 * MIB, has_digest=True)
    small.add(b"a")
    small.add(b"b")
    assert (small.fd, small.take_bytes()) == (-1, b"ab")
    assert small.hexdigest() == hashlib.sha256(b"ab").hexdigest()
    for _ in range(4):
        large.add(b"x" * (MIB // 2))
    assert os.pread(large.fd, 3 * MIB, 0) == b"x" * (2 * MIB)
    assert large.hexdigest() == hashlib.sha256(b"x" * (2 * MIB)).hexdigest()
    large.close()
    assert large.fd == -1


def test_a_body_may_not_be_larger_than_allowed() -> None:
    body = Body(10)
    with pytest.raises(PayloadTooLarge):
        body.expect(11)
    body.add(b"x" * 10)
    with pytest.raises(PayloadTooLarge):
        body.add(b"x")


def specialisation(digest: str, path: str | None) -> Specialisation:
    return Specialisation(
        function="f", namespace="d", revision=1, revision_id="r", replica="x", secret="s",
        package_digest=digest, package_path=path,
    )  # fmt: skip


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_a_package_is_taken_only_with_its_digest(size: int) -> None:
    blob = b"p" * size
    digest = hashlib.sha256(blob).hexdigest()
    with state_dir() as folder:
        path = folder / "blob"
        path.write_bytes(blob)
        source = package_of(specialisation(digest, str(path)), Body(0))
        assert source.data == blob or os.pread(source.fd, size, 0) == blob
        source.close()
        with pytest.raises(BadRequest):
            package_of(specialisation("0" * 64, str(path)), Body(0))
        with pytest.raises(ProviderError):
            package_of(specialisation(digest, str(path) + "x"), Body(0))
    body = Body(10 * MIB, has_digest=True)
    body.add(blob)
    source = package_of(specialisation(digest, None), body)
    assert source.data == blob or os.pread(source.fd, size, 0) == blob
    source.close()
    body.close()


def test_a_thread_is_no_process_even_where_it_is_listed_like_one():
    started, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), over.wait()))
    thread.start()
    try:
        started.wait()
        assert thread.native_id is not None
        assert family.is_process(os.getpid())
        assert not family.is_process(thread.native_id)
    finally:
        over.set()
        thread.join()
    assert not family.is_process(2**22 + 1)


def test_what_is_installed_is_named_as_requirements_name_it():
    modules, top_level = installed()
    assert modules["msgspec"] == msgspec.__version__
    assert "jupyter-faas" in modules
    assert {"msgspec", "json", "sys"} <= set(top_level)


def test_the_last_words_of_a_front_are_heard_though_its_end_is_seen_first():
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    (provider, control), (link, front) = pairs
    zygote = Zygote(control)
    replica = Replica("r1", "unix:/nowhere/r1.sock", link)
    replica.front_pid = replica.pid = 7
    zygote._poller.watch(link.fileno(), lambda: None)
    for said in (
        {"op": "listening", "address": "unix:/nowhere/r1.sock"},
        {"op": "failed", "reason": "out_of_memory", "detail": "It was too large."},
    ):
        front.send(msgspec.msgpack.encode(said))
    zygote._ended(replica, 7, 256)
    started, gone = (msgspec.msgpack.decode(provider.recv(1 << 16)) for _ in range(2))
    assert (started["ev"], started["pid"]) == ("started", 7)
    assert (gone["ev"], gone["reason"]) == ("gone", "out_of_memory")
    assert gone["detail"] == "It was too large."
    zygote._poller.close()
    for one in (provider, control, link, front):
        one.close()
