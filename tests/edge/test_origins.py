"""Who may ask."""

import pytest

from service.edge.origins import allowed, is_own

LISTED = ["https://shop.example", "https://*.shop.example", "http://localhost:*"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example",
        "https://SHOP.example",
        "https://www.shop.example",
        "https://a.b.shop.example",
        "http://localhost",
        "http://localhost:8000",
    ],
)
def test_a_listed_origin_is_let_in(origin):
    assert allowed(origin, LISTED)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://evilshop.example",
        "https://.shop.example",
        "https://shop.example/",
        "https://user@www.shop.example",
        "https://localhost:8000",
        "http://localhost.evil.example:80",
        "http://localhost:80:80",
        "file://",
        "https://[",
        "https://[::1.shop.example",
        "shop.example",
    ],
)
def test_any_other_is_not(origin):
    assert not allowed(origin, LISTED)


def test_parleys_own_origin_is_the_one_whose_host_was_asked():
    assert is_own("http://chat.example:8000", host="chat.example:8000", declared=None)
    assert is_own("https://Chat.example", host="chat.EXAMPLE", declared=None)
    assert not is_own("http://chat.example", host="chat.example:8000", declared=None)
    assert not is_own("http://evil.example", host="chat.example", declared=None)
    assert not is_own(None, host="chat.example", declared=None)
    assert not is_own("null", host="", declared=None)
    assert not is_own("null", host=None, declared=None)
    assert not is_own("https://[", host="chat.example", declared=None)


def test_a_declared_origin_counts_alone():
    declared = "https://chat.example"
    assert is_own("https://chat.example", host="10.0.0.7:8000", declared=declared)
    assert not is_own("http://10.0.0.7:8000", host="10.0.0.7:8000", declared=declared)
