"""The simulator beside the demo's workers: the model's API in a process of its own."""

import asyncio
import contextlib
import os
import socket

from service.core.errors import SettingError
from service.host.companion import end_process
from service.host.plan import child_environ, python
from service.settings import Settings

HERE = "127.0.0.1"
SIMULATED_KEY = "demo.simulated"  # the form of a real key; the simulator takes any
START_S = 30.0  # imports on a busy machine
POLL_S = 0.02


class Simulator:
    """One simulator on a port of its own, the same one for each start."""

    name = "simulator"

    def __init__(self, settings: Settings) -> None:
        self.tier = settings.tier
        self._model = settings.model
        with socket.socket() as probe:
            probe.bind((HERE, 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"http://{HERE}:{self._port}/api/paas/v4"
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: int | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() it first"
        return self._process.pid

    async def start(self) -> None:
        """Start, and return when it accepts connections. Raises SettingError."""
        theirs, ours = os.pipe()  # nothing is ever written: its end says that we are gone
        try:
            self._process = await asyncio.create_subprocess_exec(
                *python(
                    "service.simulator", "--host", HERE, "--port", str(self._port),
                    "--tier", str(self.tier), "--model", self._model,
                    "--parent-fd", str(theirs),
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,  # the table says where it is
                pass_fds=(theirs,),
                env=child_environ(os.environ, {}),
                start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._let_go()
        self._pipe = ours
        await self._up()

    def _let_go(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    async def _up(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_S
        while True:
            try:
                _, writer = await asyncio.open_connection(HERE, self._port)
            except OSError:
                pass
            else:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
                return
            if self._process is None or self._process.returncode is not None:
                raise SettingError("the simulator did not start; the lines above say why")
            if loop.time() > deadline:
                raise SettingError(f"the simulator does not answer within {START_S:g} s")
            await asyncio.sleep(POLL_S)

    async def died(self) -> int:
        assert self._process is not None, "start() it first"
        return await self._process.wait()

    async def stop(self, within_s: float) -> None:
        process, self._process = self._process, None
        if process is not None:
            await end_process(process, within_s)
        self._let_go()
