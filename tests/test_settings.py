"""Settings: what platforms set, what is wrong, and that a wrong one gives no secret away."""

import pytest

from service.core.errors import SettingError
from service.core.parsers import TIERS
from service.settings import load
from service.variables import VARIABLES


def test_without_any_variable_the_defaults_are_those_of_the_table():
    settings = load({})
    assert settings == load({variable.name: variable.default for variable in VARIABLES})
    assert (settings.tier, settings.port, settings.workers) == (50, 8000, 2)
    assert (settings.frame_bytes, settings.message_units) == (16_384, 2000)
    assert settings.redis_url is None and settings.model_key is None


def test_every_field_has_exactly_one_variable():
    from service.settings import Settings

    assert sorted(v.field for v in VARIABLES) == sorted(Settings.__struct_fields__)


def test_redis_url_counts_only_where_parleys_own_is_unset_and_never_for_the_demo():
    both = {"PARLEY_REDIS_URL": "redis://own", "REDIS_URL": "redis://platforms"}
    assert load(both).redis_url == "redis://own"
    assert load({"REDIS_URL": "redis://platforms"}).redis_url == "redis://platforms"
    assert load({"REDIS_URL": "redis://platforms"}, redis_fallback=False).redis_url is None


@pytest.mark.parametrize(("text", "tier"), [*TIERS.items(), ("v2", 300), ("7", 7)])
def test_a_tier_is_a_level_or_a_number(text, tier):
    assert load({"PARLEY_TIER": text}).tier == tier


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PARLEY_TIER", "0"),
        ("PARLEY_TIER", "V9"),
        ("PORT", "65536"),
        ("PORT", "²"),
        ("WEB_CONCURRENCY", "0"),
        ("PARLEY_EMBEDDED", "maybe"),
        ("PARLEY_DRAIN_S", "nan"),
        ("PARLEY_MODEL", " "),
        ("PARLEY_MODEL_URL", "open.bigmodel.cn"),
        ("PARLEY_MODEL_URL", "http://model:http/"),
        ("PARLEY_REDIS_URL", "redis://"),
        ("PARLEY_REDIS_URL", "redis://here:port"),
        ("PARLEY_REDIS_URL", "unix://"),
        ("PARLEY_ORIGIN", "https://chat.example/path"),
        ("PARLEY_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("PARLEY_LOG_LEVEL", "loud"),
        ("PARLEY_MESSAGE_UNITS", "10001"),
    ],
)
def test_a_wrong_value_is_named(name, text):
    with pytest.raises(SettingError, match=f"^{name}="):
        load({name: text})


def test_a_misspelt_name_is_no_setting_and_other_programs_variables_are_none_of_ours():
    with pytest.raises(SettingError, match="PARLEY_TEIR is no setting"):
        load({"PARLEY_TEIR": "V1"})
    assert load({"TIER": "V1", "HOME": "/"}) == load({})


@pytest.mark.parametrize("url", ["sentinel://:p4ss@h", "redis://u:p4ss@h:x", "redis://:p4/ss@"])
def test_a_wrong_url_is_told_without_its_password(url):
    with pytest.raises(SettingError) as refused:
        load({"PARLEY_REDIS_URL": url})
    assert "p4" not in str(refused.value) and "redis://127.0.0.1:6379/0" in str(refused.value)


def test_the_longest_message_must_fit_the_largest_frame_however_it_is_escaped():
    with pytest.raises(SettingError, match=r"PARLEY_FRAME_BYTES=16384: .*=10000.* 62048"):
        load({"PARLEY_MESSAGE_UNITS": "10000"})
    load({"PARLEY_MESSAGE_UNITS": "10000", "PARLEY_FRAME_BYTES": "65536"})
