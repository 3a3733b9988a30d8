import pytest

from jupyter_faas.wire.requests import NO_BODY, BadHead, Framing, framing, split_target, told

HOST = (b"host", b"a")


@pytest.mark.parametrize(
    ("headers", "version", "expected"),
    [
        ([HOST], "1.1", NO_BODY),
        ([], "1.0", NO_BODY),
        ([HOST, (b"x", b"y")], "1.1", NO_BODY),
        ([HOST, (b"content-length", b"5")], "1.1", Framing(5, False, False)),
        ([HOST, (b"content-length", b"5 ")], "1.1", Framing(5, False, False)),
        ([HOST, (b"transfer-encoding", b"Chunked ")], "1.1", Framing(None, True, False)),
        (
            [HOST, (b"content-length", b"5"), (b"expect", b"100-Continue")],
            "1.1",
            Framing(5, False, True),
        ),
        (
            [(b"content-length", b"5"), (b"expect", b"100-continue")],
            "1.0",
            Framing(5, False, False),
        ),
        ([HOST, (b"expect", b"a sword")], "1.1", NO_BODY),
    ],
)
def test_framing(headers, version, expected):
    assert framing(told(headers), version) == expected


@pytest.mark.parametrize(
    ("headers", "version", "status"),
    [
        ([], "1.1", 400),
        ([HOST, HOST], "1.1", 400),
        ([HOST, (b"host", b"b")], "1.0", 400),
        ([HOST], "0.9", 505),
        ([HOST], "2.0", 505),
        ([HOST, (b"transfer-encoding", b"gzip, chunked")], "1.1", 501),
        ([HOST, (b"transfer-encoding", b"identity")], "1.1", 501),
        ([HOST, (b"transfer-encoding", b"chunked")], "1.0", 400),
    ],
)
def test_refused_framing(headers, version, status):
    with pytest.raises(BadHead) as refused:
        framing(told(headers), version)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a%2Fb?x=%20&y", b"/a%2Fb", b"x=%20&y"),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"*", b"*", b""),
        (b"http://h/a?b", b"/a", b"b"),
        (b"HTTP://h", b"/", b""),
        (b"https://h?x=/y", b"/", b"x=/y"),
        (b"/http://other/", b"/http://other/", b""),
    ],
)
def test_split_target(target, path, query):
    assert split_target(target) == (path, query)


@pytest.mark.parametrize("target", [b"a:80", b"ftp://h/a", b"/a#b", b"http:/a", b""])
def test_refused_target(target):
    with pytest.raises(BadHead):
        split_target(target)
