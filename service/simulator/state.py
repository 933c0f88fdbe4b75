"""The running simulator: its options and everything it counts or remembers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from service.simulator.auth import Keys
from service.simulator.faults import FaultBook, Standing
from service.simulator.ids import AnswerId, answer_id
from service.simulator.options import SimulatorOptions, shown_delay
from service.simulator.pace import Pace
from service.simulator.scripts import Script
from service.simulator.stats import Record, Stats
from service.simulator.tier import Tier
from service.simulator.usage import PrefixCache
from service.simulator.work import WorkBook


class Simulation:
    """One simulator's state. Everything happens on one event loop; nothing here awaits."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.initial = options
        self.options = options
        self.keys = Keys(options.keys)
        self.tier = Tier()
        self.stats = Stats(options.keep_requests)
        self.works = WorkBook(self.tier, self.stats, options)
        self.faults = FaultBook(options.seed)
        self.scripts: list[Script] = []
        self.cache = PrefixCache()
        self.in_flight: set[tuple[str, str]] = set()  # (account, request_id)
        self._received = 0
        self._started = time.monotonic()

    def received(self, path: str, headers: dict[str, str], body: bytes) -> Record:
        """Number and keep a request that has just been read."""
        self._received += 1
        record = Record(self._received, int(time.time() * 1000), path, headers, body)
        self.stats.record(record)
        return record

    def identity(self, number: int) -> AnswerId:
        """The id of the answer to request `number`."""
        return answer_id(self.options.seed, number, time.time())

    def pace(self) -> Pace:
        """The speed of answers as the options are now."""
        options = self.options
        return Pace(options.first_token_ms, options.tokens_per_second, options.jitter, options.seed)

    def change(
        self,
        options: SimulatorOptions,
        faults: list[Standing] | None = None,
        scripts: list[Script] | None = None,
    ) -> None:
        """Take new options and, where given, other faults and scripts in the place of these."""
        self.options = options
        self.works.change(options)
        self.stats.keep = options.keep_requests
        if faults is not None:
            self.faults.replace(faults, options.seed)
        if scripts is not None:
            self.scripts = list(scripts)

    def reset(self) -> None:
        """As at the start, but for what is in flight: that goes on and stays counted."""
        self.change(self.initial, [], [])
        self.tier.reset()
        self.stats.reset()
        self.cache.clear()
        self._received = 0

    def snapshot(self) -> dict[str, Any]:
        """What `/stats` shows."""
        return {
            "tier": self.options.tier,
            "uptime_s": round(time.monotonic() - self._started, 3),
            **self.stats.snapshot(),
            "work": self.works.snapshot(),
            **self.tier.snapshot(now=int(time.time())),
        }

    def settings(self) -> Mapping[str, Any]:
        """What the control endpoint shows: the changeable options, standing faults, scripts."""
        options = self.options
        return {
            "tier": options.tier,
            "enforce_tier": options.enforce_tier,
            "first_token_ms": options.first_token_ms,
            "tokens_per_second": options.tokens_per_second,
            "jitter": options.jitter,
            "seed": options.seed,
            "unknown_fields": options.unknown_fields,
            "object_field": options.object_field,
            "finish_reason": options.finish_reason,
            "web_search_stream": options.web_search_stream,
            "duplicate_request_id": options.duplicate_request_id,
            "continuation": options.continuation,
            "release_lag_ms": options.release_lag_ms,
            "disconnect_delay_ms": shown_delay(options.disconnect_delay_ms),
            "write_stall": options.write_stall,
            "keep_requests": options.keep_requests,
            "faults": self.faults.snapshot(),
            "scripts": len(self.scripts),
        }
