"""Libraries of Lua functions: named by their content, loaded side by side."""

import re

import pytest
from redis.exceptions import ResponseError

from service.store import log
from service.store.functions import build, read
from tests.support.sources import LUA

CLOCK = "local function now_ms() return 42 end"


@pytest.fixture
async def bare(redis):
    """A server without functions."""
    await redis.function_flush()
    return redis


def test_library_and_functions_end_in_the_hash_of_their_content():
    library = build("log", ["renew"], shared=["conversation"])
    assert re.fullmatch(r"[0-9a-f]{12}", library.version)
    assert library.name == f"parley_log_{library.version}"
    assert library.function("renew").name == f"renew_{library.version}"
    assert library.source.startswith(f"#!lua name={library.name}\n")


def test_the_same_content_has_the_same_name_and_any_change_another():
    plain = build("log", ["renew"], shared=["conversation"])
    assert build("log", ["renew"], shared=["conversation"]) == plain
    others = [
        build("log", ["renew"]),
        build("log", ["renew", "stop"], shared=["conversation"]),
        build("other", ["renew"], shared=["conversation"]),
        build("log", ["renew"], shared=["conversation"], instead={"clock": CLOCK}),
    ]
    assert len({library.version for library in (plain, *others)}) == 5


def test_a_file_that_is_not_there_is_a_mistake_that_shows_at_once():
    with pytest.raises(FileNotFoundError):
        build("log", ["nowhere"])


def test_every_function_file_has_a_header_and_defines_the_function_of_its_name():
    for name in log.FUNCTIONS:
        text = read(name)
        assert text.startswith("-- "), f"{name}.lua has no header"
        assert "Returns" in text, f"{name}.lua does not say what it returns"
        assert f"local function {name}(keys, args)" in text


def test_the_clock_alone_asks_for_the_time():
    callers = {path.stem for path in LUA.glob("*.lua") if "'TIME'" in path.read_text()}
    assert callers == {"clock"}


async def test_a_library_loads_and_its_functions_answer_by_their_full_names(bare):
    library = build("log", log.FUNCTIONS, shared=("conversation",))
    assert await bare.function_load(library.source) == library.name.encode()
    found = {name for [_, name, *_] in _functions(await bare.function_list(library.name))}
    assert found == {library.function(name).name.encode() for name in log.FUNCTIONS}


async def test_two_versions_live_side_by_side(bare):
    one = build("log", ["expired"])
    other = build("log", ["expired"], instead={"clock": CLOCK})
    for library in (one, other):
        await bare.function_load(library.source)
    assert await bare.fcall(other.function("expired").name, 1, "leases", 1) == [b"42"]
    assert await bare.fcall(one.function("expired").name, 1, "leases", 1) != [b"42"]


async def test_the_clock_tells_milliseconds_of_the_servers_own(bare):
    library = build("log", ["expired"])
    await bare.function_load(library.source)
    seconds, micros = await bare.time()
    [told] = await bare.fcall(library.function("expired").name, 1, "leases", 1)
    assert 0 <= int(told) - (seconds * 1000 + micros // 1000) < 5000


async def test_shared_files_cannot_be_called(bare):
    library = build("log", ["renew"], shared=["conversation"])
    await bare.function_load(library.source)
    with pytest.raises(ResponseError):
        await bare.fcall(library.function("conversation").name, 0)


def _functions(listed: list) -> list:
    [library] = listed
    return library[library.index(b"functions") + 1]
