"""Whether all that a device may still report leads to the same effect.

Theory of operation. A device that has not had its say may still report a model, an operating system and one more user
agent, or nothing. There are endlessly many values, but rules tell them apart only by the prefixes they list: a value
behaves like the longest listed prefix it starts with, or like one that starts with none of them, or is missing. So one
representative of each is enough, and the answer is exact.

Each rule whose outcome is open becomes a bit. Each representative of a property becomes the mask of the rules whose
conditions on that property it meets; a completion's matching rules are the masks of its three representatives, and-ed.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Final

from gatepost.engine.matching import PROPERTIES, ShownDevice, prefixes
from gatepost.model import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatepost.engine.rules import CompiledRule

LIMIT: Final = 1 << 18
"""Pairs of masks that are looked at before giving up. Ten rules, WorkMail's most, have at most 2^10 different masks and
200 listed values per property, so they always stay below it; more rules than that may reach it, and then wait."""


def agree(open_rules: Sequence[CompiledRule[ShownDevice]], device: ShownDevice, *, allowed: bool) -> bool:
    """Whether every completion of `device` has the same effect.

    `open_rules` are those whose outcome is None; no other rule denies, and `allowed` says whether one allows.
    """
    denies = _bits([rule.effect is Effect.DENY for rule in open_rules])
    allows = _bits([rule.effect is Effect.ALLOW for rule in open_rules])
    if (allowed and not denies) or not (allowed or allows):
        return True
    met = {denies | allows}
    for index in range(len(PROPERTIES)):
        masks = _masks(open_rules, device, index)
        if len(met) * len(masks) > LIMIT:
            return False
        met = {one & other for one in met for other in masks}
    return len({not mask & denies and (allowed or bool(mask & allows)) for mask in met}) == 1


def waits_for(open_rules: Sequence[CompiledRule[ShownDevice]], device: ShownDevice) -> tuple[str, ...]:
    """The properties on which the outcome of the open rules depends."""
    undecided = {
        condition.about for rule in open_rules for condition in rule.conditions if condition.test(device) is None
    }
    return tuple(name for name in PROPERTIES if name in undecided)


def _masks(rules: Sequence[CompiledRule[ShownDevice]], device: ShownDevice, index: int) -> set[int]:
    """For each thing the device may still say about property `index`: which rules' conditions on it are met."""
    about = PROPERTIES[index]
    conditions = [[one for one in rule.conditions if one.about == about] for rule in rules]
    masks = set()
    for completed in _completions(rules, device, index):
        masks.add(_bits([all(one.test(completed) for one in those) for those in conditions]))
    return masks


def _completions(rules: Sequence[CompiledRule[ShownDevice]], device: ShownDevice, index: int) -> Iterator[ShownDevice]:
    values, more = device[index]
    before, after = device[:index], device[index + 1 :]
    yield (*before, (values, False), *after)  # type: ignore[misc]  # four again: mypy does not add up slices
    if not more:
        return
    about = PROPERTIES[index]
    listed = {
        prefix for rule in rules for one in rule.conditions if one.about == about for prefix in prefixes(one.listed)
    }
    for value in (*sorted(listed - {""}), _unlike(listed)):
        yield (*before, ((*values, value), False), *after)  # type: ignore[misc]


def _unlike(listed: set[str]) -> str:
    """A value that starts with none of the listed ones (save the empty one, with which every value starts)."""
    first = {prefix[0] for prefix in listed if prefix}
    return next(letter for letter in map(chr, range(0x10FFFF, 0, -1)) if letter not in first)


def _bits(flags: Sequence[bool]) -> int:
    return sum(compress((1 << position for position in range(len(flags))), flags))
