from prometheus_client import CollectorRegistry

from gatepost.mdm.metrics import BridgeMetrics
from gatepost.mdm.targets.base import Conflict


def value(metrics, name, **labels):
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry.get_sample_value(name, labels)


def test_what_was_settled_is_counted_by_source_and_outcome():
    metrics = BridgeMetrics()
    for _ in range(3):
        metrics.settled("uem", "done")
    assert value(metrics, "gatepost_mdm_devices_settled_total", source="uem", outcome="done") == 3


def test_times_are_cumulative():
    metrics = BridgeMetrics()
    for seconds in (0.01, 0.2, 500.0):
        metrics.took(seconds)
    assert value(metrics, "gatepost_mdm_apply_seconds_bucket", le="0.05") == 1
    assert value(metrics, "gatepost_mdm_apply_seconds_bucket", le="120.0") == 2
    assert value(metrics, "gatepost_mdm_apply_seconds_count") == 3


def test_a_conflict_counts_until_it_is_over():
    metrics, pair = BridgeMetrics(), ("m-1", "alice", "AAA")
    kind = next(iter(Conflict))
    metrics.conflict(pair, kind)
    metrics.conflict(pair, kind)
    assert value(metrics, "gatepost_mdm_conflicts", kind=kind.value) == 1
    assert metrics.conflicts == {pair: kind}
    metrics.conflict(pair, None)
    assert value(metrics, "gatepost_mdm_conflicts", kind=kind.value) is None


def test_gauges_are_what_was_read():
    metrics = BridgeMetrics()
    metrics.gauges = {"gatepost_mdm_dirty_devices": ("help", ("source",), {("uem",): 7.0})}
    assert value(metrics, "gatepost_mdm_dirty_devices", source="uem") == 7
