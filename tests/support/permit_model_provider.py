"""What the provider's answers do to the model: the limit, the circuit, the alarm, the linger."""

from dataclasses import dataclass

OVERLOADS = ("1305", "1312")
BLOCKS = (range(1000, 1200), (1220, 1304), range(1308, 1312), range(1313, 1322))


@dataclass(slots=True)
class Provider:
    configured: int = 0  # the account's tier, as its workers were told
    tier: int = 0  # that, or less where an operator says so
    limit: int = 0  # and that, less what the provider refused of late
    lag: int = 0  # ms that it seems to count a request after its end
    cut_seq: int = 0
    before_cut: int = 0
    successes: int = 0
    trips: int = 0  # above 0 the circuit is open
    overloads: int = 0  # in a row
    probe: int = 0  # the permit that tries the platform
    circuit_seq: int = 0
    circuit_until: int = 0
    blocked: int = 0
    blocked_seq: int = 0

    def set_tier(self, tier: int) -> None:
        if self.limit == self.tier or self.limit > tier:
            self.limit = tier
        self.tier = tier

    def linger(self, outcome: str, after_abort: int) -> int:
        return {"aborted": after_abort, "unused": 0}.get(outcome, self.lag)

    def learn(self, number: int, outcome: str, *, used: int, seq: int, pause_ends: int) -> None:
        """Permit ``number`` is back, while ``used`` counted and ``seq`` was the newest.

        ``pause_ends``: until when the circuit is open if this opens it, which is drawn by lot.
        """
        if outcome in ("1302", "1303"):
            self._refused(number, used, seq)
        elif outcome == "ok" and self.limit < self.tier and used >= 0.9 * self.limit:
            self.successes += 2 if self.limit < 0.95 * self.before_cut else 1
            if self.successes >= self.limit:
                self.limit, self.successes = self.limit + 1, 0
        self._learn_platform(number, outcome, seq, pause_ends)
        if outcome.isdigit() and any(int(outcome) in codes for codes in BLOCKS):
            self.blocked, self.blocked_seq = int(outcome), seq
        elif outcome == "ok" and number > self.blocked_seq:
            self.blocked = 0

    def _refused(self, number: int, used: int, seq: int) -> None:
        """One cut for each generation of requests."""
        if number > self.cut_seq:
            self.before_cut = self.limit
            self.limit = max(min(2, self.tier), min(int(0.95 * self.limit), used - 1))
            self.cut_seq, self.successes, self.lag = seq, 0, min(100, self.lag + 20)

    def _learn_platform(self, number: int, outcome: str, seq: int, pause_ends: int) -> None:
        """Who was granted before the circuit opened knows nothing new."""
        if number <= self.circuit_seq:
            return
        if outcome in OVERLOADS:
            self.overloads += 1
            if self.trips or self.overloads >= 5:
                self.trips, self.circuit_until, self.circuit_seq = self.trips + 1, pause_ends, seq
                self.overloads = self.probe = 0
        elif outcome == "aborted":
            self.unprobed(number)
        else:
            self.close_circuit()

    def unprobed(self, number: int) -> None:
        self.probe = 0 if self.probe == number else self.probe

    def close_circuit(self) -> None:
        self.trips = self.overloads = self.probe = 0
