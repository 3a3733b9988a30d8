from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.wire.channel import advance


@given(st.lists(st.binary(max_size=9), max_size=6), st.data())
def test_what_was_sent_is_dropped_from_the_front(parts, data):
    whole = b"".join(parts)
    sent = data.draw(st.integers(0, len(whole)))
    pending = list(parts)
    advance(pending, sent)
    assert b"".join(pending) == whole[sent:]
