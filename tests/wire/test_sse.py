import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.wire.sse import KEEP_ALIVE, Event, EventDecoder, encode_event

lines = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=10)


def test_encoding():
    raw = encode_event("a\nb\r\nc\rd", event="e", id="7", retry_ms=100)
    assert raw == b"event: e\nid: 7\nretry: 100\ndata: a\ndata: b\ndata: c\ndata: d\n\n"
    assert encode_event(b"") == b"data: \n\n"


@pytest.mark.parametrize("evil", ["a\nb", "a\rb", "a\0"])
def test_no_field_can_begin_another(evil):
    with pytest.raises(ValueError, match="line break"):
        encode_event("x", event=evil)
    with pytest.raises(ValueError, match="line break"):
        encode_event("x", id=evil)


def test_decoding_as_the_standard_has_it():
    raw = (
        "\ufeffdata: a\ndata:b\ndata:  c\nunknown: x\n: comment\n\n"
        "event: e\nid: 1\nretry: 50\nretry: x\ndata\n\n"
        "id: 2\n\n"
        "data: last\r\rdata: \u00e9\r\n\r\n"
    ).encode()
    assert EventDecoder().feed(raw) == [
        Event("a\nb\n c"),
        Event("", "e", "1", 50),
        Event("last", id="2"),
        Event("é", id="2"),
    ]


@given(
    st.lists(st.tuples(st.lists(lines, min_size=1, max_size=3), lines, lines), max_size=5),
    st.lists(st.integers(0, 500), max_size=10),
)
def test_any_cut_gives_the_same_events(events, cuts):
    raw, expected = b"", []
    for text, name, identity in events:
        raw += encode_event("\n".join(text), event=name, id=identity) + KEEP_ALIVE
        expected.append(Event("\n".join(text), name or "message", identity))
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    decoder, seen = EventDecoder(), []
    for a, b in zip(places, places[1:]):  # noqa: B905, RUF007
        seen += decoder.feed(raw[a:b])
    assert seen == expected


def test_a_crlf_cut_in_the_middle_is_one_line_end():
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"\ndata: b\r\n\r") == []
    assert decoder.feed(b"\n") == [Event("a\nb")]


def test_an_endless_line_is_an_error():
    decoder = EventDecoder()
    with pytest.raises(ValueError, match="does not end"):
        decoder.feed(b"x" * (17 * 1024 * 1024))
