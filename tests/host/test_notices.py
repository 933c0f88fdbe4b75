import asyncio
import os
import time
from contextlib import asynccontextmanager

import pytest

from service.host.folder import Traces
from service.host.notices import Notices, permit_office
from service.settings import load
from service.store.connection import Commands
from service.store.permit_office import PermitOffice, account_name
from service.store.permit_steps import Timing
from service.store.permits import RedisPermits
from tests.support.valkey import Valkey


@pytest.fixture
async def commands(redis_url):
    async with Commands.open(redis_url, name="test") as opened:
        await opened.wait_up()
        yield opened


@pytest.fixture
def settings():
    return load({"PARLEY_ABORT_LINGER": "0", "PARLEY_MODEL_URL": "http://127.0.0.1:1"})


@asynccontextmanager
async def delivering(notices):
    task = asyncio.create_task(notices.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class DeadWorker:
    """A worker that holds a permit and is gone without giving it back."""

    def __init__(self, url, settings, session):
        self._url, self._settings, self._session = url, settings, session

    async def die(self):
        async with Commands.open(self._url, name="dead") as commands:
            await commands.wait_up()
            office = PermitOffice(
                commands,
                account=account_name(self._settings.model_url, self._settings.api_key),
                model=self._settings.model,
                timing=Timing(linger_s=self._settings.abort_linger_s),
            )
            opened = RedisPermits.join(
                office, self._url, session=self._session, tier=self._settings.tier
            )
            permits = await opened.__aenter__()
            await permits.acquire(
                flow="f", priority="live", deadline=time.monotonic() + 60
            ).__aenter__()
            # It ends here without a word: neither the permit nor the session is given back.
            permits._pump.close = _nothing
            await opened.__aexit__(None, None, None)


async def _nothing():
    pass


async def test_a_dead_workers_permit_is_free_once_it_is_noticed(
    redis_url, commands, settings, tmp_path, eventually
):
    office = permit_office(commands, settings)
    await DeadWorker(redis_url, settings, "s1").die()
    assert (await office.state()).used == 1
    notices = Notices(commands, office, Traces(tmp_path, "here"))
    async with delivering(notices):
        notices.dead("s1")

        async def free():
            return (await office.state()).used == 0

        await eventually(free)


async def test_the_trace_of_a_dead_worker_stays_until_redis_has_taken_the_notice(
    settings, tmp_path, eventually
):
    traces = Traces(tmp_path, "here")
    os.close(traces.make("s1"))
    files = tmp_path / "workers"
    server = Valkey()
    with server:
        async with Commands.open(server.url, name="test") as commands:
            await commands.wait_up()
            server.kill()
            await eventually(lambda: not commands.up)
            notices = Notices(commands, permit_office(commands, settings), traces)
            notices.left_by_predecessor()
            await notices.deliver()
            assert [path.name for path in files.iterdir()] == ["s1"]
            async with delivering(notices):
                server.start()
                await eventually(lambda: not list(files.iterdir()))


async def test_a_new_server_is_told_again(settings, tmp_path, eventually):
    told = []

    class Office:
        async def fence(self, session):
            told.append(session)

    server = Valkey()
    with server:
        async with Commands.open(server.url, name="test") as commands:
            await commands.wait_up()
            notices = Notices(commands, Office(), Traces(tmp_path, "here"))
            async with delivering(notices):
                notices.dead("s1")
                notices.dead("s2")
                await eventually(lambda: told == ["s1", "s2"])
                server.kill()
                server.start()
                await eventually(lambda: told == ["s1", "s2", "s1", "s2"])


async def test_a_new_server_is_told_of_the_living_before_the_dead_and_the_first_one_is_not(
    settings, tmp_path, eventually
):
    told = []

    class Office:
        async def fence(self, session):
            told.append(("dead", session))

        async def expect(self, session):
            told.append(("lives", session))

    server = Valkey()
    with server:
        async with Commands.open(server.url, name="test") as commands:
            await commands.wait_up()
            traces = Traces(tmp_path, "here")
            notices = Notices(commands, Office(), traces, living=lambda: ["s2", "s3"])
            async with delivering(notices):
                notices.dead("s1")
                await eventually(lambda: told == [("dead", "s1")])
                server.kill()
                server.start()
                again = [("lives", "s2"), ("lives", "s3"), ("dead", "s1")]
                await eventually(lambda: told == [("dead", "s1"), *again])


async def test_a_notice_that_fails_in_an_unknown_way_stays_due(
    commands, tmp_path, eventually, caplog
):
    told = []

    class Office:
        async def fence(self, session):
            told.append(session)
            if len(told) == 1:
                raise RuntimeError("a defect")

    notices = Notices(commands, Office(), Traces(tmp_path, "here"))
    async with delivering(notices):
        notices.dead("s1")
        await eventually(lambda: told == ["s1", "s1"])
