"""A part of `make verify` small enough for every run, and how a search's result is read.

Every other variant is of the same model: what these searches cannot see is whether it holds within
the larger bounds, and whether the other known faults are still found.
"""

import re
from pathlib import Path

import pytest

from tests.verify import __main__ as command
from tests.verify import search
from tests.verify.search import Found, VerifyError
from tests.verify.variants import (
    ALL,
    DESIGN,
    HOLDS,
    KNOWN_BAD,
    LEFT,
    STARVES,
    TIER,
    UnknownVariant,
    selected,
)

LEASE_ONLY = selected("lease only")[0]
SMALL = next(variant for variant in DESIGN if variant.quick)

# What pan says at the end of a search.
ENDED = """
Full statespace search for:
State-vector 188 byte, depth reached 134, errors: 0
    10541 states, stored
    20000 states, matched
"""
BROKEN = """pan:1: {} (at depth 32)
pan: wrote permits.pml.trail
Warning: Search not completed
State-vector 188 byte, depth reached 32, errors: 1
      865 states, stored
"""


@pytest.mark.spin
@pytest.mark.parametrize("variant", [v for v in ALL if v.quick], ids=lambda variant: variant.name)
async def test_the_design_holds_and_known_faults_are_found(variant):
    found = await search.search(variant, search.tools())
    assert found.verdict == variant.expected
    assert found.states > 10


@pytest.mark.spin
async def test_the_shortest_way_to_a_fault_can_be_told():
    events = await search.story(LEASE_ONLY, search.tools())
    assert events[-1].endswith("starts its request: the provider counts 2")
    assert any("lease of" in event for event in events)


@pytest.mark.spin
async def test_a_search_that_is_cut_short_is_no_proof(monkeypatch):
    monkeypatch.setattr(search, "DEPTH", 20)
    found = await search.search(SMALL, search.tools())
    assert found.verdict == "not finished: deeper than it may be"


@pytest.mark.spin
async def test_a_model_that_cannot_be_read_is_an_error_with_spins_own_words(tmp_path, monkeypatch):
    model = tmp_path / "permits.pml"
    model.write_text("init { this is no model }")
    monkeypatch.setattr(search, "MODEL", model)
    with pytest.raises(VerifyError, match=r"spin refuses the model:\n.*undeclared variable: this"):
        await search.search(SMALL, search.tools())


def test_what_a_search_says_is_read():
    assert search.read(ENDED, 1.5) == Found(HOLDS, 10541, 134, 1.5)
    for words, meaning in (
        ("assertion violated (upstream<=1)", TIER),
        ("assertion violated ((((used==0)&&(upstream==0))&&(queued==0))&& !(recovering))", LEFT),
        ("assertion violated (( !(( !(dead[0])&&((caller[0]!=12)||(has[0]!=8)))))", LEFT),
        ("assertion violated  !(((record[q]>>p)&1))", "a permit is given twice"),
        ("assertion violated (p!=(2*(8/2)))", "the model has too few names"),
        ("acceptance cycle", STARVES),
        ("block in d_step seq", "block in d_step seq"),
    ):
        assert search.read(BROKEN.format(words), 1.0).verdict == meaning


@pytest.mark.parametrize(
    "said",
    [
        "error: max search depth too small\n" + ENDED,
        ENDED.replace("errors: 0", "errors: 1"),
        "pan: reached -DMEMLIM bound\nWarning: Search not completed\n" + ENDED,
        "pan: error: too many processes -- current max is 10 procs (-DNFAIR=3)\n",
        "Killed\n",
        "",
    ],
)
def test_whatever_ends_a_search_early_is_no_proof(said):
    assert search.read(said, 1.0).verdict.startswith("not finished")


def test_a_fault_that_is_not_found_and_a_design_that_breaks_fail_the_run():
    fine = {SMALL: Found(HOLDS, 1, 1, 0.1), LEASE_ONLY: Found(TIER, 1, 1, 0.1)}
    assert command.failures(fine) == []
    for variant, verdict in ((SMALL, TIER), (LEASE_ONLY, HOLDS), (LEASE_ONLY, LEFT)):
        wrong = command.failures(fine | {variant: Found(verdict, 1, 1, 0.1)})
        assert wrong == [f"{variant.name}: {verdict}, but expected: {variant.expected}"]


def test_every_flag_of_a_variant_means_something_to_the_model():
    text = "\n".join(path.read_text() for path in sorted(Path(search.MODEL).parent.glob("*.pml")))
    tested = set(re.findall(r"#\s*(?:ifn?def|if|elif).*", text))
    known = set(re.findall(r"\b[A-Z][A-Z_]*\b", "\n".join(tested)))
    used = {flag.split("=")[0] for variant in ALL for flag in variant.flags.split()}
    assert used <= known, used - known
    switches = known - {"N", "L", "P", "RECEIPTS", "LIVENESS"}
    assert switches <= used, "no variant sets these"


def test_variants_have_names_and_flags_of_their_own():
    assert len({variant.name for variant in ALL}) == len(ALL)
    assert len({(variant.flags, variant.fair) for variant in ALL}) == len(ALL)
    assert all(variant.good for variant in DESIGN)
    assert not any(variant.good for variant in KNOWN_BAD)


def test_without_spin_or_a_compiler_the_error_says_what_to_install():
    with pytest.raises(VerifyError, match=r"spin and a C compiler .*apt-get install spin gcc"):
        search.tools({"PATH": "/nonexistent"})


def test_another_program_of_spins_name_is_not_taken(tmp_path):
    other = tmp_path / "spin"
    other.write_text("#!/bin/sh\necho a toy\n")
    other.chmod(0o755)
    with pytest.raises(VerifyError, match=r"^spin cannot be found"):
        search.tools({"PATH": str(tmp_path), "CC": "/bin/sh"})


@pytest.mark.parametrize(
    ("words", "environ", "why"),
    [
        (["--only", "nonsense"], {}, "no variant has 'nonsense'"),
        ([], {"ONLY": "nonsense"}, "there are:\n  restart"),
        ([], {"JOBS": "many"}, "such as 2; not 'many'"),
        (["--jobs", "0"], {}, "such as 2; not '0'"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_ones(words, environ, why, capsys):
    assert command.main(words, environ) == 2
    assert why in capsys.readouterr().err


def test_arguments_and_environment_choose_variants():
    chosen = command.options(["--only", "lease only"], {"ONLY": "restart", "STORY": "1"})
    assert chosen.variants == [LEASE_ONLY] and chosen.story
    assert command.options([], {"STORY": "0"}) == command.Options(list(ALL), 2, False, False) or (
        command.default_jobs() == 1
    )
    with pytest.raises(UnknownVariant):
        selected("nonsense")


def test_the_table_has_a_row_for_each_variant():
    found = {SMALL: Found(HOLDS, 10541, 134, 1.5), LEASE_ONLY: Found(TIER, 865, 32, 0.4)}
    title, first, second = command.table([SMALL, LEASE_ONLY], found).splitlines()
    assert title.split() == list(command.TITLES)
    assert first.split()[-2:] == ["10,541", "1.5"]
    assert second.startswith(LEASE_ONLY.name) and second.split()[-2:] == ["865", "0.4"]
