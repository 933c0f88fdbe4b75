"""The file of sites: what it takes, and the line that names what is wrong in it."""

import pytest

from service.core.errors import SettingError
from service.core.model import SiteLimits
from service.sites import load_sites

SHOP = '[[site]]\nkey = "pk_shop"\nname = "Shop"\norigins = ["https://shop.example"]\n'


@pytest.fixture
def sites(tmp_path):
    """Loads the file with this text."""

    def read(text):
        path = tmp_path / "sites.toml"
        path.write_text(text, "utf-8")
        return load_sites(path, frame_bytes=16_384)

    return read


def test_a_site_needs_a_key_a_name_and_an_origin(sites):
    site = sites(SHOP)["pk_shop"]
    assert (site.name, site.origins) == ("Shop", ("https://shop.example",))
    assert site.languages == ("en",) and site.limits == SiteLimits()


def test_several_sites_are_found_by_their_keys(sites):
    assert list(sites(SHOP + SHOP.replace("pk_shop", "pk_2"))) == ["pk_shop", "pk_2"]


@pytest.mark.parametrize(
    "origin",
    ["https://*.shop.example", "http://localhost:*", "http://shop.localhost:*", "http://a.b:81"],
)
def test_an_origin_may_be_a_pattern(sites, origin):
    assert sites(SHOP.replace("https://shop.example", origin))["pk_shop"].origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*", "https://shop.example/", "https://Shop.example", "https://shop.example:*",
     "ftp://shop.example", "https://shop.example:", "https://*.example", "https://a; script-src *"],
)  # fmt: skip
def test_any_other_origin_is_refused(sites, origin):
    with pytest.raises(SettingError, match="is no origin such as"):
        sites(SHOP.replace("https://shop.example", origin))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "declares no site"),
        ("[[site", "not TOML"),
        (SHOP + SHOP, "stands twice"),
        (SHOP.replace("pk_shop", ""), "a key is letters"),
        (SHOP.replace("pk_shop", "<b>"), "a key is letters"),
        (SHOP + 'hour = "9 to 5"\n', "hour"),
        (SHOP + "[site.limits]\nmesages_per_minute = 3\n", "mesages_per_minute"),
        (SHOP + "[site.limits]\nmessage_units = 0\n", "limits.message_units = 0: wants"),
        (SHOP + "[site.limits]\ncontext_tokens = 900000\n", "from 500 to 128000"),
        (SHOP + 'languages = ["en", "xx"]\n', "'xx' is none of zh en"),
        (SHOP + '[[site.facts]]\ntitle = { en = "A" }\ntext = { qq = "B" }\n', "'qq' is none"),
        (SHOP + '[[site.facts]]\ntitle = { en = "A" }\ntext = {}\n', "a fact needs"),
        (SHOP + '[[site.facts]]\ntitle = "A"\ntext = { en = "B" }\n', "Expected `object`"),
    ],
)
def test_what_is_wrong_is_named(sites, text, told):
    with pytest.raises(SettingError, match=r"^PARLEY_SITES=") as refused:
        sites(text)
    assert told in str(refused.value)


def test_a_tag_that_leads_to_a_language_is_one(sites):
    assert sites(SHOP + 'languages = ["pt-BR", "nb"]\n')["pk_shop"].languages == ("pt-BR", "nb")


def test_a_sites_longest_message_must_fit_the_frame_too(sites):
    with pytest.raises(SettingError, match=r"limits\.message_units = 9000"):
        sites(SHOP + "[site.limits]\nmessage_units = 9000\n")
