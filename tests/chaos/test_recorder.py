"""What is recorded of real workers on a real server is what the checker reads, and holds."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.checker import Bounds, check
from tests.chaos.checker_trace import Trace
from tests.chaos.recorder import RecordedClient, Recorder
from tests.chaos.resp_proxy import RespProxy
from tests.chaos.watch import Watch, arguments
from tests.support.eventually import eventually
from tests.support.instance import Instance, Simulator
from tests.support.log_rig import Answer, ServerWorld, ask, begin, send
from tests.support.valkey import Valkey


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trace.jsonl"


@pytest.fixture
def own():
    with Valkey() as server:
        yield server


def test_the_words_that_monitor_quotes_are_told_as_they_were():
    line = b'1.5 [0 unix:/tmp/a b.sock] "XADD" "key" "1-0" "a \\"b\\" \\n\\\\ \\xf0\\x9f\\x99\\x82"'
    assert arguments(line) == [b"XADD", b"key", b"1-0", 'a "b" \n\\ 🙂'.encode()]


async def test_a_watch_sees_every_write_also_what_was_trimmed_at_once(own, path):
    with Recorder(path, seed=7) as recorder:
        async with Watch(own.url, recorder) as watch, ServerWorld.at(own.url) as world:
            a, b = world.log("a"), world.log("b")
            await begin(a, "c1")
            told = Answer(a, "c1", await ask(a, "c1", 'Hello "you" 🙂\n'))
            await told.append("What must not stay")
            await world.advance(3001)
            adopted = await b.adopt("c1", looked_ms=world.now_ms)
            await Answer(b, "c1", adopted.turn, adopted.text).finish("withdrawn")
            told = Answer(a, "c1", await ask(a, "c1", "Open"))
            await told.append("So far")
            await watch.final()
    trace = Trace.read(path)
    log = trace.logs["c1"]
    assert [(e.o, e.kind, e.session, e.fence) for _, e in log.entries()] == [
        (1, "message.created", "a", 1), (2, "answer.started", "a", 1), (3, "answer.delta", "a", 1),
        (4, "answer.started", "b", 2), (5, "answer.done", "b", 2), (6, "message.created", "a", 3),
        (7, "answer.started", "a", 3), (8, "answer.delta", "a", 3),
    ]  # fmt: skip
    assert list(log.epochs) == ["e1"]
    assert log.epochs["e1"][3].frame["text"] == "What must not stay"
    assert log.final["open_text"] == "So far" and log.final["lease"]
    assert [offset for offset, _ in log.final["log"]] == [5, 6, 7, 8]
    assert list(trace.redis["leases"]) == ["c1"]
    assert trace.about == {"seed": 7}
    found = check(trace)
    assert found.broken == {"I9"}, found.text()


async def test_a_watch_follows_a_server_that_comes_back_and_says_that_it_may_have_lost(own, path):
    with Recorder(path) as recorder:
        async with Watch(own.url, recorder) as watch, ServerWorld.at(own.url) as world:
            await begin(world.log("a"), "c1")
            await send(world.log("a"), "c1")
            await watch.final()
            own.kill()
            await eventually(lambda: not world.commands.up)
            own.start()
            await asyncio.wait_for(world.commands.wait_up(), 5)
            await world.log("a").load()
            await begin(world.log("a"), "c1", epoch="e2")
            await send(world.log("a"), "c1", "Again")
            await eventually(lambda: path.read_text().count('"k": "server"') == 2)
            await watch.final()
            with own.client() as client:
                client.flushall()
            await watch.final()
    trace = Trace.read(path)
    assert sorted(trace.logs["c1"].epochs) == ["e1", "e2"]
    assert "Again" in trace.logs["c1"].epochs["e2"][1].text
    why = [r["why"] for r in map(json.loads, path.read_text().splitlines()) if r["k"] == "server"]
    assert why == ["connected", "connected", "emptied"]
    assert not {"I3", "I5"} & check(trace).broken


async def test_a_watch_goes_on_with_the_server_that_takes_over(own, path):
    """The tail that was lost with the old one is in the trace, and what came in its place, too."""
    with Valkey() as other, Recorder(path) as recorder:
        async with Watch(own.url, recorder) as watch:
            async with ServerWorld.at(own.url) as world:
                await begin(world.log("a"), "c1")
                told = Answer(world.log("a"), "c1", await ask(world.log("a"), "c1"))
                await told.append("Lost")
            await watch.switch(other.url)
            async with ServerWorld.at(other.url) as world:
                await begin(world.log("a"), "c1")
                told = Answer(world.log("a"), "c1", await ask(world.log("a"), "c1"))
                await told.append("Else")
                await told.finish()
            await watch.final()
    log = Trace.read(path).logs["c1"]
    assert [(epoch, one.o, one.text[-8:], two.text[-8:]) for epoch, one, two in log.changed] == [
        ("e1", 3, ':"Lost"}', ':"Else"}')
    ]
    assert check(Trace.read(path)).broken == {"I2", "I5"}, "one epoch, one offset, other bytes"


@pytest.mark.system
async def test_a_run_of_real_workers_keeps_all_ten(own, path):
    """Two customers, two tabs of one, a cut and a resume; only tools there are none."""
    with Recorder(path) as recorder:
        async with RespProxy(own.url) as proxy, Watch(own.url, recorder) as watch:
            with Simulator(tokens_per_second=400) as simulator:
                async with elsewhere(Instance(proxy.url, simulator.url)) as running:
                    pids = [worker["pid"] for worker in await asyncio.to_thread(running.workers)]
                    recorder.workers(pids, "before")
                    await asyncio.gather(_anna(recorder, running.url), _bert(recorder, running.url))
                    await eventually(lambda: path.read_text().count('"k": "closed"') == 4)
                    recorder.workers(pids, "after")
                    await watch.final()
        recorder.end()
    trace = Trace.read(path)
    found = check(trace, Bounds(answer_s=20, growth=10))
    assert not found.violations, found.text()
    assert found.unproven == {"I7"}
    assert len(trace.sockets) == 4


@asynccontextmanager
async def elsewhere(instance: Instance) -> AsyncIterator[Instance]:
    """``instance``, begun and ended in a thread: the proxy before its Redis runs in this loop."""
    await asyncio.to_thread(instance.__enter__)
    try:
        yield instance
    finally:
        await asyncio.to_thread(instance.__exit__, None, None, None)


async def _anna(recorder: Recorder, url: str) -> None:
    anna = await RecordedClient(recorder, url, name="anna").start()
    await anna.connect()
    tab = await RecordedClient(recorder, url, name="anna's tab").share(anna)
    await tab.connect()
    id = await anna.send("Do you ship to Norway?")
    await anna.got("answer.delta")
    await anna.drop()
    await anna.connect()
    await anna.send("Do you ship to Norway?", id=id)
    await anna.until(lambda: anna.acks.get(id, {}).get("duplicate"))
    await anna.answer_to(anna.acks[id]["m"])
    await tab.ask("And to Spain?")
    await tab.stop()
    await anna.stop()


async def _bert(recorder: Recorder, url: str) -> None:
    bert = await RecordedClient(recorder, url, name="bert").start()
    await bert.connect()
    answer = await bert.ask("What does the blue kettle cost?")
    await bert.say({"type": "answer.rate", "m": answer["m"], "value": 1})
    await bert.got("answer.rated")
    await bert.stop()
