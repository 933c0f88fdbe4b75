"""`parley permits` and `parley permits limit`, on real permits in a real Valkey."""

import asyncio
import json
import re

import pytest
from click.testing import CliRunner

from service.cli import main
from service.host.cards import Cards
from service.host.permits_report import (
    Blocked,
    Circuit,
    Queue,
    Refused,
    Report,
    Session,
    Wait,
)
from service.store.connection import Commands
from service.store.permit_office import PermitOffice, account_name
from service.store.permit_steps import Timing
from tests.support.permit_rig import ACCOUNT, MODEL, Crew, Waiting, leave
from tests.support.sources import ROOT, read
from tests.support.valkey import Valkey

# The command's settings are those of this test alone; a table of 100 columns shows all of them.
CLEAN = {"PARLEY_MODEL_KEY": None, "PARLEY_MODEL_URL": None, "PARLEY_MODEL": None, "COLUMNS": "100"}
PARTS = (Blocked, Circuit, Queue, Refused, Session, Wait)
MODEL_URL = "https://open.bigmodel.cn/api/paas/v4"


@pytest.fixture
async def crew(redis_url):
    async with Crew(redis_url, tier=4) as crew:
        yield crew


@pytest.fixture
def parley(redis_url, tmp_path):
    """`await parley("permits", "--json")`: the command, beside the loop of the test."""

    async def run(*words, **settings):
        where = {"PARLEY_REDIS_URL": redis_url, "PARLEY_DATA": str(tmp_path)}
        runner = CliRunner(env=CLEAN | where | settings)
        return await asyncio.to_thread(runner.invoke, main, words)

    return run


@pytest.fixture
def seen(parley):
    """`await seen()`: what `parley permits --json` says."""

    async def look(*words, **settings):
        result = await parley("permits", *words, "--json", **settings)
        assert result.exit_code == 0, result.output
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    return look


@pytest.fixture
def shown(parley):
    """`await shown()`: what `parley permits` draws."""

    async def look(**settings):
        result = await parley("permits", **settings)
        assert result.exit_code == 0, result.output
        return result.stdout

    return look


def refused(result, *parts):
    """One line on standard error, exit code 2, and nothing else."""
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("parley: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


class Process:
    """A living worker, as its supervisor's cards need it."""

    def __init__(self, name, session):
        self.name, self.pid, self.state, self.session = name, 4711, "ready", session


async def supervised(redis_url, **sessions):
    """A supervisor says that the workers of these sessions live."""
    async with Commands.open(redis_url, name="supervisor") as commands:
        await commands.wait_up()
        living = [Process(name, session) for name, session in sessions.items()]
        await Cards(commands, lambda: living).write()


async def registered(redis_url, account, model="model", session="one", tier=4):
    """A semaphore whose only worker has left again, as a stopped demo leaves one."""
    async with Commands.open(redis_url, name="test") as commands:
        await commands.wait_up()
        office = PermitOffice(commands, account=account, model=model, timing=Timing(linger_s=0))
        words = [1, "", 0, 0, *office.timing.words(), "x", tier, tier, 1, 0, 0, 0, 0, 0, 0]
        assert (await office.step(session, words)).status == "ok"
        return office


# -- the state --------------------------------------------------------------------------------


async def test_it_says_what_is_held_and_who_waits_by_site_and_class(crew, seen, shown, redis_url):
    one, two = await crew.worker("one"), await crew.worker("two")
    await supervised(redis_url, first="one", second="two")
    taken = [*await one.take(1, "pk_tea a"), *await two.take(3, "pk_tea b")]
    waiting = [
        await Waiting.queued(one, "pk_tea c"),
        await Waiting.queued(two, "pk_tea d"),
        await Waiting.queued(two, "pk_ink e"),
        await Waiting.queued(one, "pk_ink f", priority="background"),
    ]
    said = await seen()
    assert (said["account"], said["model"]) == (ACCOUNT, MODEL)
    assert (said["used"], said["held"], said["admissible"], said["tier"]) == (4, 4, 4, 4)
    assert said["waiting"] == {"live": 3, "background": 1}
    queues = [(q["class"], q["site"], q["waiting"], q["first_place"]) for q in said["queues"]]
    assert queues == [
        ("live", "pk_tea", 2, 1), ("live", "pk_ink", 1, 3), ("background", "pk_ink", 1, 4)
    ]  # fmt: skip
    sessions = [(s["worker"], s["session"], s["held"], s["waiting"]) for s in said["sessions"]]
    assert sessions == [("first", "one", 1, 2), ("second", "two", 3, 2)]
    assert said["why"] == []
    drawn = await shown()
    assert "4 of 4 (the tier)" in drawn
    assert " ████\n" in drawn
    assert re.search(r"pk_tea +live +2 +1\n", drawn)
    assert re.search(r"second +4711 +\S+ +live +3 +2 ", drawn)
    assert "\x1b[" not in drawn, "colours are for terminals"
    for one in taken:
        await leave(one)
    for one in waiting:
        await one.leave()


async def test_it_tells_the_waits_of_each_class_in_percentiles(crew, seen, eventually):
    one = await crew.worker("one")
    for _ in range(3):
        for taken in await one.take(4):
            await leave(taken)

    async def told():
        wait = (await seen())["waits"]["live"]
        assert wait is not None and wait["count"] == 12
        return wait

    wait = await eventually(told)
    assert 0 <= wait["p50_ms"] <= wait["p95_ms"] <= wait["p99_ms"] <= wait["max_ms"]
    assert (await seen())["waits"]["background"] is None


async def test_a_silent_worker_is_shown_as_quarantined_and_until_when(crew, seen, shown):
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(2)
    await one.silence()
    await crew.leap(6)
    await two.take(1)
    said = await seen()
    assert (said["used"], said["held"], said["quarantined"]) == (3, 1, 2)
    row = next(row for row in said["sessions"] if row["session"] == "one")
    assert (row["state"], row["worker"]) == ("quarantined", None)
    assert 100_000 < row["due_ms"] <= 120_000
    drawn = await shown()
    assert "╳ 2 quarantined" in drawn
    assert re.search(r"\(one\) .*quarantined +2 +0 +silent: freed in 1\d\d s ", drawn)


async def test_a_cut_request_lingers_and_is_nobodys(redis_url, seen, shown, eventually):
    async with Crew(redis_url, timing=Timing(linger_s=20.0), tier=4) as crew:
        one = await crew.worker("one")
        await crew.leap(21)  # the window of the first epoch
        (taken,) = await one.take(1)
        await leave(taken, "aborted")

        async def lingers():
            said = await seen()
            return (said["used"], said["held"], said["lingering"]) == (1, 0, 1)

        await eventually(lingers)
        drawn = await shown()
    assert "▒ 1 lingering" in drawn
    assert re.search(r"nobody's .*lingering +1 +of requests that were cut\n", drawn)


async def test_an_operators_limit_and_the_providers_refusals_say_why(
    crew, parley, seen, shown, eventually
):
    one = await crew.worker("one")
    assert (await parley("permits", "limit", "3")).exit_code == 0
    for taken in await one.take(3):
        await leave(taken, "1302")

    async def cut():
        return (await seen())["limit"] == 2

    await eventually(cut)
    said = await seen()
    assert (said["tier"], said["cap"], said["limit"], said["admissible"]) == (4, 3, 2, 2)
    assert said["refused"]["times"] == 1
    operators, providers = said["why"]
    assert "limit of 3" in operators and "1302" in providers
    drawn = await shown()
    assert " of 2, tier 4\n" in drawn and "··\n" in drawn
    assert "Why      an operator's limit of 3" in drawn


async def test_a_full_platform_opens_the_circuit_and_nothing_is_free(crew, seen, shown, eventually):
    one = await crew.worker("one", tier=8)
    for taken in await one.take(5):
        await leave(taken, "1305")

    async def is_open():
        return (await seen())["circuit"]["state"] != "closed"

    await eventually(is_open)
    said = await seen()
    assert said["circuit"]["code"] == "1305"
    assert said["circuit"]["trips"] == 1
    assert any("1305" in why for why in said["why"])
    assert said["limit"] == 8, "the platform's trouble is not ours"
    drawn = await shown()
    assert "8 kept back" in drawn and "free" not in drawn


async def test_a_blocked_account_is_an_alarm_that_says_what_to_do(crew, seen, shown, eventually):
    one = await crew.worker("one")
    (taken,) = await one.take(1)
    await leave(taken, "1113")

    async def blocked():
        return (await seen())["blocked"]

    alarm = await eventually(blocked)
    assert (alarm["code"], alarm["times"]) == ("1113", 1)
    assert "top it up" in alarm["advice"]
    drawn = re.sub(r"\s+", " ", await shown())
    assert "BLOCKED with 1113" in drawn and "once: the balance is used up: top it up" in drawn
    assert "not blocked" not in drawn


async def test_a_recovering_epoch_names_the_worker_that_it_waits_for(parley, tmp_path, eventually):
    with Valkey() as own:
        async with Crew(own.url, timing=Timing(linger_s=0.2), tier=4) as crew:
            away, here = await crew.worker("away"), await crew.worker("here")
            await here.take(1)
            await eventually(lambda: {"away", "here"} <= set(here.pump.book.known.roster))
            await away.silence()
            own.kill()
            own.start()

            async def recovers():
                result = await parley("permits", "--json", PARLEY_REDIS_URL=own.url)
                assert result.exit_code == 0
                said = json.loads(result.stdout)
                assert said["absent"] == ["away"] and said["admissible"] == 1
                return said

            said = await eventually(recovers)
            assert said["recovering"]
            assert any("waits for away" in why for why in said["why"])
            assert [(s["session"], s["state"]) for s in said["sessions"]] == [
                ("away", "awaited"), ("here", "live")
            ]  # fmt: skip
            drawn = (await parley("permits", PARLEY_REDIS_URL=own.url)).stdout
            assert re.search(r"\(away\) .*awaited .*not back yet", drawn)


def test_every_field_of_the_json_is_documented_and_no_other():
    section = read(ROOT / "docs" / "cli.md").split("## `parley permits`")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \| (.*) \|$", section, re.MULTILINE)
    named = [name for row, _ in rows for name in re.findall(r"`([a-z_]+)`", row)]
    told = [*named, *(name for row, text in rows for name in re.findall(r"`([a-z_]+)`", text))]
    fields = Report.__struct_fields__
    assert set(named) <= set(fields) <= set(told)
    inner = {name for kind in PARTS for name in kind.__struct_encode_fields__}
    quoted = {name for _, text in rows for name in re.findall(r'"([a-z_0-9]+)"', text)}
    assert quoted - {"live", "background"} == inner


# -- the limit --------------------------------------------------------------------------------


async def test_a_limit_below_what_is_used_makes_debt_and_ends_nothing(crew, parley, eventually):
    one = await crew.worker("one")
    taken = await one.take(4)
    waits = await Waiting.queued(one)
    result = await parley("permits", "limit", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "4 -> 2 (tier 4); 4 in use: nothing is ended" in result.stdout
    assert "until 2 have ended" in result.stdout
    state = await crew.state()
    assert (state.used, state.admissible, state.waiting) == (4, 2, 1)
    for held in taken[:2]:
        await leave(held)

    async def two_left():
        return (await crew.state()).used == 2

    await eventually(two_left)
    assert not waits.granted
    await leave(taken[2])
    await eventually(lambda: waits.granted)
    await leave(taken[3])
    await waits.leave()


async def test_the_tier_as_the_limit_takes_it_away(crew, parley):
    await crew.worker("one")
    await parley("permits", "limit", "2")
    result = await parley("permits", "limit", "4")
    assert result.stdout == "limit of model: 2 -> 4 (tier 4); 0 in use\n"
    assert (await crew.state()).why() == []


@pytest.mark.parametrize("n", ["0", "-1", "fast", "2.5", "", "5", "٣", "9" * 40])
async def test_a_limit_that_cannot_be_is_one_line_and_changes_nothing(crew, parley, n):
    await crew.worker("one")
    await parley("permits", "limit", "3")
    refused(await parley("permits", "limit", n), "limit", "4")
    assert (await crew.state()).cap == 3


async def test_options_before_and_after_the_word_limit_say_which_permits(redis_url, parley):
    await registered(redis_url, "first")
    await registered(redis_url, "second")
    words = ("--model", "model")
    assert (await parley("permits", "--account", "first", *words, "limit", "2")).exit_code == 0
    result = await parley("permits", "limit", "3", "--account", "first", *words)
    assert "2 -> 3" in result.stdout
    result = await parley("permits", "limit", "3", "--account", "second", *words)
    assert "4 -> 3" in result.stdout


# -- which permits ----------------------------------------------------------------------------


async def test_the_settings_name_the_account_and_the_model(redis_url, seen):
    account = account_name(MODEL_URL, "id.secret")
    await registered(redis_url, account, "glm-4-flashx-250414")
    await registered(redis_url, account, "another")
    await registered(redis_url, "another", "glm-4-flashx-250414", session="living")
    await supervised(redis_url, worker="living")
    said = await seen(PARLEY_MODEL_KEY="id.secret")
    assert (said["account"], said["model"]) == (account, "glm-4-flashx-250414")
    said = await seen(PARLEY_MODEL_KEY="id.secret", PARLEY_MODEL="another")
    assert (said["account"], said["model"]) == (account, "another")


async def test_without_the_services_key_the_only_permits_are_found(redis_url, seen):
    await registered(redis_url, "unheardof", "some-model")
    said = await seen(PARLEY_MODEL_KEY="not.theirs")
    assert (said["account"], said["model"]) == ("unheardof", "some-model")


async def test_of_several_permits_the_only_ones_in_use_are_shown(redis_url, seen):
    """Each start of the demo has another simulator, and so another account, in the same data."""
    await registered(redis_url, account_name(MODEL_URL, "simulator.key"), "glm-4-flashx-250414")
    await registered(redis_url, "yesterday", "glm-4-flashx-250414", session="gone")
    await registered(redis_url, "today", "glm-4-flashx-250414", session="living")
    await supervised(redis_url, worker="living")
    assert (await seen())["account"] == "today"


async def test_where_it_is_not_certain_one_line_lists_what_there_is(redis_url, parley, seen):
    await registered(redis_url, "first", "small", session="a")
    await registered(redis_url, "second", "small", session="b")
    await registered(redis_url, "second", "large", session="c")
    await supervised(redis_url, one="a", two="b")
    choices = "--account first --model small (1 workers)", "--account second --model large (0"
    refused(await parley("permits"), "several", *choices)
    refused(await parley("permits", "limit", "2"), "several", *choices)
    refused(await parley("permits", "--account", "third"), "no such", *choices)
    assert (await seen("--account", "first"))["model"] == "small"
    assert (await seen("--model", "large"))["account"] == "second"
    assert (await seen("--account", "second", "--model", "large"))["model"] == "large"
    refused(await parley("permits", "--account", "first", "--model", "large"), "no such", *choices)


async def test_a_redis_without_permits_says_so(parley):
    refused(await parley("permits"), "no worker has registered")
    refused(await parley("permits", "limit", "4"), "no worker has registered")


async def test_no_redis_and_no_instance_are_one_line(parley, tmp_path):
    away = "redis://:secret@127.0.0.1:1/0"
    for words in (("permits",), ("permits", "--watch"), ("permits", "limit", "4")):
        result = await parley(*words, PARLEY_REDIS_URL=away)
        refused(result, "Redis at redis://:***@127.0.0.1:1/0 does not answer")
        refused(await parley(*words, PARLEY_REDIS_URL=""), str(tmp_path), "parley demo")


async def test_a_wrong_setting_is_named(parley):
    refused(await parley("permits", PARLEY_MODEL_URL="ftp://x"), "PARLEY_MODEL_URL=ftp://x")
