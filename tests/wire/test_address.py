import pytest

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.wire.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address", "url", "authority"),
    [
        ("unix:/a/b.sock", Address("unix", path="/a/b.sock"), "unix:/a/b.sock", b"localhost"),
        ("unix:///a", Address("unix", path="/a"), "unix:/a", b"localhost"),
        ("h:80", Address("tcp", host="h", port=80), "http://h:80", b"h:80"),
        ("http://h", Address("tcp", host="h", port=80), "http://h:80", b"h:80"),
        ("https://H/", Address("tls", host="h", port=443), "https://h:443", b"h:443"),
        ("[::1]:99", Address("tcp", host="::1", port=99), "http://[::1]:99", b"[::1]:99"),
        (
            "https://h:1/gw/",
            Address("tls", host="h", port=1, prefix="/gw"),
            "https://h:1/gw",
            b"h:1",
        ),
        ("bücher:1", Address("tcp", host="xn--bcher-kva", port=1), "http://xn--bcher-kva:1", None),
    ],
)
def test_addresses(text, address, url, authority):
    assert parse_address(text) == address
    assert str(address) == address.url == url
    assert authority in (None, address.authority)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "ftp://h",
        "h:port",
        "h:99999",
        "http://",
        "http://u:p@h",
        "http://h?q",
        "a b:80",
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(InvalidSpec, match="HOST:PORT"):
        parse_address(text)
