"""The decision: a pure function from rules and a request to an effect with its reasons."""

from gatepost.engine.access import AccessRequest, Decision, DeviceProperties, Reason
from gatepost.engine.decide import Step, access_control_effect, decide, mobile_device_access_effect
from gatepost.engine.explain import (
    ConditionExplained,
    Explanation,
    Outcome,
    RuleExplained,
    StepExplained,
    explain,
)
from gatepost.engine.impersonation import ImpersonationEffect, impersonation_effect
from gatepost.engine.ruleset import RuleSet

__all__ = [
    "AccessRequest",
    "ConditionExplained",
    "Decision",
    "DeviceProperties",
    "Explanation",
    "ImpersonationEffect",
    "Outcome",
    "Reason",
    "RuleExplained",
    "RuleSet",
    "Step",
    "StepExplained",
    "access_control_effect",
    "decide",
    "explain",
    "impersonation_effect",
    "mobile_device_access_effect",
]
