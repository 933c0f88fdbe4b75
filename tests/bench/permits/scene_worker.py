"""One process of a scene: `python -m tests.bench.permits.scene_worker SCENE`; see orders.py.

Several flows ask Parley's permits: some keep so many requests outstanding, one arrives as customers
do, each without knowing of the others. The process answers `begin NS` with a SceneReport.
"""

import asyncio
import itertools
import random
import sys
import time

import msgspec
import uvloop

from service.store.connection import Commands
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Timing
from service.store.permits import RedisPermits
from tests.bench.permits.contenders import MODEL, PATIENCE_S, registered
from tests.bench.permits.orders import Flow, Scene, SceneReport
from tests.bench.permits.upstream import Upstream
from tests.bench.permits.worker import now, say

# The load goes on for so long after the window, so that who asked in it is served. Who is not even
# then counts with its wait so far.
AFTER_S = 4.0


class Stage:
    def __init__(self, scene: Scene, permits: RedisPermits, upstream: Upstream) -> None:
        self.report = SceneReport(waits={flow.name: [] for flow in scene.flows})
        self._scene = scene
        self._permits = permits
        self._upstream = upstream
        self._random = random.Random(f"{scene.seed} {scene.account} {scene.session}")
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[Flow, int]] = {}

    async def run(self, begin: int) -> None:
        """Raises what a caller raised."""
        scene = self._scene
        await asyncio.sleep((begin - now()) / 1e9)
        self._from = now() + round(scene.warm_s * 1e9)
        self._until = self._from + round(scene.window_s * 1e9)
        tasks: list[asyncio.Task[None]] = []
        for flow in scene.flows:
            tasks += [asyncio.create_task(self._again(flow)) for _ in range(flow.outstanding)]
            if flow.rate:
                tasks.append(asyncio.create_task(self._arrive(flow)))
        length_s = scene.warm_s + scene.window_s + AFTER_S
        done, running = await asyncio.wait(
            tasks, timeout=length_s, return_when=asyncio.FIRST_EXCEPTION
        )
        for flow, asked in self._waiting.values():
            self._note(flow, asked, now())
        for task in running:
            task.cancel()
        await asyncio.wait(tasks)
        for task in done:
            task.result()

    async def _again(self, flow: Flow) -> None:
        while True:
            await self._request(flow)

    async def _arrive(self, flow: Flow) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._random.expovariate(flow.rate))
                group.create_task(self._request(flow))

    async def _request(self, flow: Flow) -> None:
        hold_s = self._random.uniform(*self._scene.hold_s)
        number, asked = next(self._numbers), now()
        self._waiting[number] = flow, asked
        async with self._permits.acquire(
            flow=f"shop {flow.name}",
            priority="live" if flow.priority == "live" else "background",
            deadline=time.monotonic() + PATIENCE_S,
        ):
            started = now()
            del self._waiting[number]
            self._note(flow, asked, started)
            due = started + round(hold_s * 1e9)
            try:
                await self._upstream.answer(due)
            finally:  # the scene's end cuts it short
                self.report.holds.append((asked, started, due, now()))

    def _note(self, flow: Flow, asked: int, served: int) -> None:
        if self._from <= asked < self._until:
            self.report.waits[flow.name].append((served - asked) / 1e6)


async def obey(scene: Scene) -> None:
    async with Commands.open(scene.url, name=scene.session) as commands:
        office = PermitOffice(
            commands, account=scene.account, model=MODEL, timing=Timing(linger_s=0.0)
        )
        joined = RedisPermits.join(office, scene.url, session=scene.session, tier=scene.capacity)
        async with joined as permits:
            await registered(permits)
            say(b"ready")
            while (words := (await asyncio.to_thread(sys.stdin.readline)).split())[:1] == ["begin"]:
                say(msgspec.json.encode(await played(scene, permits, int(words[1]))))


async def played(scene: Scene, permits: RedisPermits, begin: int) -> SceneReport:
    with Upstream() as upstream:
        stage = Stage(scene, permits, upstream)
        try:
            await stage.run(begin)
        except Exception as error:
            stage.report.failed = f"{type(error).__name__}: {error}"
        return stage.report


if __name__ == "__main__":
    uvloop.run(obey(msgspec.json.decode(sys.argv[1], type=Scene)))
