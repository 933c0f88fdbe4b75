"""Receipts of grants, and what a waiter is told."""

import math
import random

import pytest

from service.core.queueing import Deadlines, Receipts, Waiter, eta_ms, worth_telling


def test_receipts_run_up_to_the_first_that_is_missing():
    receipts = Receipts()
    assert [receipts.take(number) for number in (1, 3, 4)] == [True, True, True]
    assert receipts.through == 1
    assert receipts.take(2)
    assert receipts.through == 4


def test_a_grant_that_comes_again_is_known():
    receipts = Receipts()
    for number in (2, 1):
        assert receipts.take(number)
    assert not any(receipts.take(number) for number in (1, 2))


@pytest.mark.parametrize("seed", range(20))
def test_every_grant_counts_once_in_any_order_and_number_of_copies(seed: int):
    draw = random.Random(seed)
    numbers = [number for number in range(1, 30) for _ in range(draw.randint(1, 3))]
    draw.shuffle(numbers)
    receipts = Receipts()
    assert sum(receipts.take(number) for number in numbers) == 29
    assert receipts.through == 29


@pytest.mark.parametrize(
    ("position", "pace_us", "expected"), [(1, 0, 0), (1, 80_000, 80), (50, 80_000, 4000)]
)
def test_an_eta_is_as_many_paces_as_there_are_places(position: int, pace_us: int, expected: int):
    assert eta_ms(position, pace_us) == expected


@pytest.mark.parametrize(
    ("position", "eta", "told"),
    [(7, 3000, False), (7, 3999, False), (6, 3000, True), (7, 4000, True)],
)
def test_a_waiter_is_told_what_it_can_see(position: int, eta: int, told: bool):
    waiter = Waiter(
        number=1, flow="f", priority="live", asked=0.0, deadline=9.0, since=None, place=None,
        position=7, eta_ms=3000,
    )  # fmt: skip
    assert worth_telling(waiter, position, eta) == told


def test_deadlines_come_due_in_order_and_once():
    deadlines = Deadlines()
    for deadline, number in ((3.0, 1), (1.0, 2), (2.0, 3)):
        deadlines.add(deadline, number, waiting=(1, 2, 3))
    assert deadlines.next == 1.0
    assert list(deadlines.due(2.0)) == [2, 3]
    assert (list(deadlines.due(2.5)), deadlines.next) == ([], 3.0)
    assert (list(deadlines.due(3.0)), deadlines.next) == ([1], math.inf)


def test_deadlines_of_those_who_left_do_not_pile_up_and_no_other_is_lost():
    deadlines, waiting = Deadlines(), set()
    for number in range(20_000):
        if number % 100 == 0:
            waiting.add(number)
        deadlines.add(1000.0 + number, number, waiting=waiting)
        assert len(deadlines._heap) <= 2 * max(1024, len(waiting))
    assert set(deadlines.due(1e9)) >= waiting
