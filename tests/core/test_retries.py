"""Which failures are worth another request, when, and how often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import errors
from service.core.retries import ATTEMPTS, LONGEST_DELAY_S, GiveUp, Retry, Tries, decide

PASSING = [
    errors.ModelOverloaded,
    errors.ModelUnreachable,
    errors.ModelStalled,
    errors.ModelCutOff,
]
FINAL = [errors.ModelRefused, errors.ModelRejected, errors.ModelAccountBlocked]
ALL = [*PASSING, *FINAL, errors.ModelOverTier, errors.ModelContextTooLong]


def test_every_model_error_has_a_case_here():
    assert set(ALL) == set(errors.ModelError.__subclasses__())


@pytest.mark.parametrize("kind", PASSING)
def test_a_passing_failure_is_tried_three_times_with_growing_jitter(kind):
    delays, tries = [], Tries()
    while isinstance(decision := decide(kind(), tries, left_s=60, chance=1.0), Retry):
        delays.append(decision.delay_s)
        tries = tries.after(kind())
    assert delays == [0.5, 1.0]
    assert tries.failed + 1 == ATTEMPTS


def test_jitter_is_full():
    error = errors.ModelOverloaded()
    assert decide(error, Tries(), left_s=60, chance=0.0) == Retry(0.0)
    assert decide(error, Tries(), left_s=60, chance=0.5) == Retry(0.25)


def test_a_request_over_the_tier_keeps_its_place_without_a_count():
    tries, error = Tries(), errors.ModelOverTier(provider_code="1302")
    for _ in range(100):
        decision = decide(error, tries, left_s=60, chance=1.0)
        assert isinstance(decision, Retry)
        assert 0 <= decision.delay_s <= 0.05
        tries = tries.after(error)
    assert tries == Tries()
    assert isinstance(decide(errors.ModelOverloaded(), tries, left_s=60, chance=1.0), Retry)


def test_a_prompt_too_long_is_shortened_once():
    error, tries = errors.ModelContextTooLong(), Tries()
    assert decide(error, tries, left_s=60, chance=1.0) == Retry(0.0)
    assert tries.after(error).shrunk and not Tries().after(errors.ModelOverTier()).shrunk
    assert decide(error, tries.after(error), left_s=60, chance=1.0) == GiveUp()


@pytest.mark.parametrize("kind", FINAL)
def test_what_would_fail_again_is_not_tried_again(kind):
    assert decide(kind(), Tries(), left_s=60, chance=0.0) == GiveUp()


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_tried_again_once_text_was_shown(kind):
    assert decide(kind(), Tries(shown=True), left_s=60, chance=0.0) == GiveUp()


@given(
    kind=st.sampled_from(ALL),
    failed=st.integers(0, 50),
    shrunk=st.booleans(),
    left_s=st.floats(-10, 200),
    chance=st.floats(0, 1),
)
def test_no_retry_begins_after_the_deadline_and_no_delay_is_long(
    kind, failed, shrunk, left_s, chance
):
    decision = decide(kind(), Tries(failed, shrunk), left_s=left_s, chance=chance)
    if isinstance(decision, Retry):
        assert 0 <= decision.delay_s <= LONGEST_DELAY_S
        assert decision.delay_s < left_s
