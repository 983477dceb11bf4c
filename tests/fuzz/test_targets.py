"""Every parser, for a moment: the same inputs as always, and some that nobody has tried yet.

`make fuzz` does the same for as long as it is let.
"""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.loop import run, shrink
from tests.fuzz.mutate import Mutator
from tests.fuzz.regressions import REGRESSIONS
from tests.fuzz.targets import TARGETS

_INPUTS = 150  # for each unit of weight


def told(findings) -> str:
    return "\n".join(f"{finding.error}\n{finding.trace}\n{finding.data!r}" for finding in findings)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seed", ["always the same", "fresh"])
def test_the_parser_accepts_or_raises_its_own_error(name, seed):
    target = TARGETS[name]
    seed = secrets.token_hex(4) if seed == "fresh" else "0"
    report = run(target, seed, _INPUTS * target.weight)
    assert report.inputs >= _INPUTS * target.weight or report.findings
    findings = [shrink(target, finding) for finding in report.findings]
    assert not findings, f"seed {seed!r}:\n{told(findings)}"


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_mutations_of_them_get_through(name):
    """What is refused at the first byte finds nothing."""
    target = TARGETS[name]
    assert sum(target.check(seed) for seed in target.seeds) * 3 >= len(target.seeds)
    report = run(target, "0", 50 * target.weight)
    assert report.accepted > 0.01 * report.inputs


@pytest.mark.parametrize(("name", "data", "what"), REGRESSIONS)
def test_what_was_found_once(name, data, what):
    TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_pieces_are_all_of_an_input(name):
    target = TARGETS[name]

    @given(st.binary(max_size=64) | st.sampled_from(target.seeds))
    def whole(data):
        assert b"".join(target.pieces(data)) == data

    whole()


def test_inputs_follow_from_the_seed():
    def inputs(seed):
        import random

        target = TARGETS["wbxml"]
        mutator = Mutator(target, list(target.seeds), random.Random(seed))
        return [mutator.make() for _ in range(500)]

    assert inputs(1) == inputs(1) != inputs(2)
    assert len(set(inputs(1))) > 450
    assert max(map(len, inputs(1))) <= TARGETS["wbxml"].longest
