"""Whether a request to the model that failed is worth another, as a pure function.

Only what no customer has seen is tried again: once text is shown, a second answer would contradict
the first. What is tried again queues at the head, because it has waited already. Three cases:

- Over the tier (1302, 1303). Our permits were wrong about the account, not the request about
  anything. It keeps its place and its patience: no count, no delay but a jitter so that a burst
  does not come back as a burst, until the turn's own deadline.
- The platform is full, or the line to it broke. Full jitter, doubling, three attempts in all.
- The prompt is too long (1261): our estimate was wrong, once. Less context, once.
"""

import msgspec

from service.core.errors import (
    ModelContextTooLong,
    ModelCutOff,
    ModelError,
    ModelOverloaded,
    ModelOverTier,
    ModelStalled,
    ModelUnreachable,
)

ATTEMPTS = 3  # as the provider's own client has it; more only prolongs what the customer waits for
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
SPREAD_S = 0.05  # for requests over the tier; the queue for a permit is their real delay

_PASSING = (ModelOverloaded, ModelUnreachable, ModelStalled, ModelCutOff)


class Retry(msgspec.Struct, frozen=True):
    """Ask again after ``delay_s``, at the head of the queue; ``Tries`` knows with how much."""

    delay_s: float


class GiveUp(msgspec.Struct, frozen=True):
    """The turn fails with the error that it has."""


Decision = Retry | GiveUp


class Tries(msgspec.Struct, frozen=True):
    """What a turn's requests have come to so far. Replace it by `after` when one fails."""

    failed: int = 0  # those over the tier are not counted
    shrunk: bool = False  # the context was made smaller already
    shown: bool = False  # some of the answer's text is in the log

    def after(self, error: ModelError) -> "Tries":
        return Tries(
            self.failed + (not isinstance(error, ModelOverTier)),
            self.shrunk or isinstance(error, ModelContextTooLong),
            self.shown,
        )


def decide(error: ModelError, tries: Tries, *, left_s: float, chance: float) -> Decision:
    """What to do about ``error``.

    ``tries`` is from before this error, ``left_s`` the seconds until the turn's deadline,
    ``chance`` a random number from 0 to 1.
    """
    if tries.shown:
        return GiveUp()
    decision = _decide(error, tries, chance)
    if isinstance(decision, Retry) and decision.delay_s >= left_s:
        return GiveUp()
    return decision


def _decide(error: ModelError, tries: Tries, chance: float) -> Decision:
    match error:
        case ModelOverTier():
            return Retry(chance * SPREAD_S)
        case ModelContextTooLong() if not tries.shrunk:
            return Retry(0.0)  # `after` notes it: the next one is told half
        case _ if isinstance(error, _PASSING) and tries.failed + 1 < ATTEMPTS:
            longest = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**tries.failed)
            return Retry(chance * longest)
        case _:
            return GiveUp()
