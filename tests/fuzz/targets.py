"""Everything that is fuzzed, by name."""

from __future__ import annotations

from tests.fuzz import targets_aws, targets_eas, targets_edge, targets_http, targets_webhook
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (targets_eas, targets_http, targets_edge, targets_aws, targets_webhook)
    for target in vars(module).values()
    if isinstance(target, Target)
}
