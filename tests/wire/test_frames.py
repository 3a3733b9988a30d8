import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.wire.frames import Frame, FrameError, FrameReader, encode, encode_header

frames = st.builds(
    Frame,
    kind=st.integers(0, 255),
    body=st.one_of(st.binary(max_size=50), st.integers(0, 200_000).map(lambda n: b"z" * n)),
    tag=st.integers(0, 2**32 - 1),
    stream=st.integers(0, 255),
    flags=st.integers(0, 2**16 - 1),
)


@given(
    st.lists(frames, max_size=5),
    st.lists(st.integers(0, 400_000), max_size=10),
    st.sampled_from([bytes, bytearray, memoryview]),
)
def test_any_cut_gives_the_same_frames(sent, cuts, buffer):
    raw = b"".join(encode(frame) for frame in sent)
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    reader, seen = FrameReader(), []
    for a, b in zip(places, places[1:]):  # noqa: B905, RUF007
        seen += reader.feed(buffer(raw[a:b]))
    assert seen == sent
    assert reader.is_empty


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_a_cut_stream_is_not_empty(size):
    raw = encode(Frame(1, b"x" * size))
    for cut in (1, 15, len(raw) - 1):
        reader = FrameReader()
        assert list(reader.feed(raw[:cut])) == []
        assert not reader.is_empty


def test_a_body_larger_than_allowed_is_refused_from_its_header():
    reader = FrameReader(max_bytes=10)
    assert [frame.body for frame in reader.feed(encode(Frame(1, b"x" * 10)))] == [b"x" * 10]
    with pytest.raises(FrameError):
        list(reader.feed(encode_header(1, 11)))


def test_an_announcement_allocates_nothing():
    reader = FrameReader()
    assert list(reader.feed(encode_header(1, 1 << 39) + b"abc")) == []
    assert not reader.is_empty
