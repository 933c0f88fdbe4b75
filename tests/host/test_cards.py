import asyncio
import socket

import pytest

from service.core.errors import SettingError
from service.host.addresses import is_loopback, reachable, shown
from service.host.cards import Card, Cards, living_workers
from service.host.screen import workers_table
from service.store.connection import Commands


class Worker:
    def __init__(self, name, pid, state="ready"):
        self.name, self.pid, self.state, self.session = name, pid, state, f"session-{pid}"


@pytest.fixture
async def commands(redis_url):
    async with Commands.open(redis_url, name="test") as opened:
        await opened.wait_up()
        yield opened


async def test_living_workers_are_listed_and_dead_ones_at_once_are_not(commands, redis_url):
    living = [Worker("worker-2", 12, "draining"), Worker("worker-1", 11)]
    cards = Cards(commands, lambda: living)
    await cards.write()
    here = socket.gethostname()
    assert await living_workers(redis_url) == [
        Card("worker-1", 11, True, here),
        Card("worker-2", 12, False, here),
    ]
    living.pop(0)
    await cards.write()
    assert [card.name for card in await living_workers(redis_url)] == ["worker-1"]


async def test_a_card_ends_by_itself_with_the_host_that_wrote_it(commands, redis_url):
    await Cards(commands, lambda: [Worker("worker-1", 11)]).write()
    (key,) = await commands.send("KEYS", "*")
    assert 0 < await commands.send("PTTL", key) <= 3000


async def test_a_change_is_written_at_once(commands, redis_url, eventually):
    living = []
    cards = Cards(commands, lambda: living)
    task = asyncio.create_task(cards.run())
    await asyncio.sleep(0)
    living.append(Worker("worker-1", 11))
    cards.changed()

    async def listed():
        return await living_workers(redis_url)

    await eventually(listed, within=0.8)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_more_keys_than_one_scan_returns_hide_no_worker(commands, redis_url):
    await asyncio.gather(*(commands.send("SET", f"other:{n}", 1, "EX", 60) for n in range(25_000)))
    living = [Worker(f"worker-{n}", n) for n in range(1, 40)]
    await Cards(commands, lambda: living).write()
    assert len(await living_workers(redis_url)) == 39


async def test_a_redis_that_is_away_is_a_wrong_setting(tmp_path):
    with pytest.raises(SettingError, match=r"Redis at redis://:\*\*\*@127\.0\.0\.1:1/0 does not"):
        await living_workers("redis://:secret@127.0.0.1:1/0")


def test_the_table_is_for_people():
    table = workers_table([Card("worker-1", 7, True, "a"), Card("worker-2", 12345, False, "host")])
    assert table.splitlines() == [
        "NAME      PID    READY  HOST",
        "worker-1  7      yes    a",
        "worker-2  12345  no     host",
    ]
    assert workers_table([]) == "no worker runs"


@pytest.mark.parametrize(
    "url, text",
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://name:pass@host:1/0", "rediss://name:***@host:1/0"),
        ("unix://:p@ss@/tmp/x.sock", "unix://:***@/tmp/x.sock"),
    ],
)
def test_a_password_is_never_shown(url, text):
    assert shown(url) == text


@pytest.mark.parametrize(
    "url, here",
    [
        ("http://127.0.0.1:8100/api", True),
        ("http://[::1]:8100", True),
        ("http://localhost", True),
        ("http://model.localhost/x", True),
        ("https://open.bigmodel.cn/api/paas/v4", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
    ],
)
def test_only_this_machine_is_loopback(url, here):
    assert is_loopback(url) is here


@pytest.mark.parametrize(
    "host, url",
    [
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("::", "http://127.0.0.1:80/"),
        ("::1", "http://[::1]:80/"),
        ("shop.example", "http://shop.example:80/"),
    ],
)
def test_a_url_that_a_browser_here_can_open(host, url):
    assert reachable(host, 80) == url
