"""What Prometheus reads: judged by Prometheus' own parser."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.gateway import rig, run

from gatepost.engine import Decision, Reason
from gatepost.gateway.metrics import GatewayMetrics, Histogram
from gatepost.model import Effect
from gatepost.telemetry import new_registry, render

GAUGES = {
    "gatepost_replica_revision",
    "gatepost_replica_age_seconds",
    "gatepost_parked_requests",
    "gatepost_requests_in_flight",
    "gatepost_connections",
    "gatepost_upstream_connections",
    "gatepost_redirected_logins",
    "gatepost_devices",
}


def scraped(metrics):
    """Families by name, and the value of each sample by (name, labels)."""
    text, _ = render(new_registry(metrics))
    families = {
        family.name: family
        for family in text_string_to_metric_families(text.decode())
        if family.name.startswith("gatepost_")
    }
    samples = {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    return families, samples


def test_decisions_are_counted_by_effect_and_reason():
    metrics = GatewayMetrics()
    for decision in (
        Decision(Effect.ALLOW, Reason.MOBILE_DEVICE_ACCESS_RULE, ("a",)),
        Decision(Effect.ALLOW, Reason.MOBILE_DEVICE_ACCESS_RULE, ("b",)),
        Decision(Effect.DENY, Reason.MOBILE_DEVICE_ACCESS_OVERRIDE),
        Decision(None, Reason.DEVICE_INFORMATION_REQUIRED),
    ):
        metrics.decided(decision)
    families, samples = scraped(metrics)
    assert families["gatepost_decisions"].type == "counter"
    found = {key[1:]: value for key, value in samples.items() if key[0] == "gatepost_decisions_total"}
    assert found == {
        ("effect=ALLOW", "reason=MobileDeviceAccessRule"): 2,
        ("effect=DENY", "reason=MobileDeviceAccessOverride"): 1,
        ("effect=UNDECIDED", "reason=DeviceInformationRequired"): 1,
    }


def test_requests_are_counted_and_timed():
    metrics = GatewayMetrics()
    metrics.answered("FolderSync", 200, "answered", 0.004)
    metrics.answered("FolderSync", 200, "answered", 0.3)
    metrics.answered("Ping", 200, "parked", 1700.0)
    metrics.answered("Sync", 403, "refused", 0.0005)
    metrics.ended = 3
    families, samples = scraped(metrics)
    assert samples["gatepost_requests_total", "command=FolderSync", "status=200"] == 2
    assert samples["gatepost_requests_total", "command=Sync", "status=403"] == 1
    assert samples["gatepost_requests_ended_total",] == 3
    assert families["gatepost_request_seconds"].type == "histogram"
    bucket = "gatepost_request_seconds_bucket"
    assert samples[bucket, "kind=answered", "le=0.0025"] == 0
    assert samples[bucket, "kind=answered", "le=0.005"] == 1
    assert samples[bucket, "kind=answered", "le=0.5"] == 2
    assert samples[bucket, "kind=parked", "le=30.0"] == 0
    assert samples[bucket, "kind=parked", "le=+Inf"] == 1
    assert samples[bucket, "kind=refused", "le=0.001"] == 1
    assert samples["gatepost_request_seconds_count", "kind=answered"] == 2
    assert samples["gatepost_request_seconds_sum", "kind=answered"] == pytest.approx(0.304)


def test_what_was_not_believed_is_counted():
    metrics = GatewayMetrics()
    metrics.forwarding_headers_ignored["X-Forwarded-For"] = 3
    metrics.proxy_headers_refused = 2
    _, samples = scraped(metrics)
    assert samples["gatepost_forwarding_headers_ignored_total", "header=X-Forwarded-For"] == 3
    assert samples["gatepost_proxy_headers_refused_total",] == 2


def test_a_histogram_counts_each_once_and_ends_at_infinity():
    histogram = Histogram()
    for seconds in (0.0, 0.001, 0.0011, 10.0, 31.0):
        histogram.observe(seconds)
    rows = dict(histogram.buckets())
    assert (rows["0.001"], rows["0.0025"], rows["10.0"], rows["30.0"], rows["+Inf"]) == (2, 3, 4, 4, 5)
    counts = [count for _, count in histogram.buckets()]
    assert counts == sorted(counts)


def test_before_anything_happened_everything_is_there():
    families, samples = scraped(GatewayMetrics())
    assert set(families) >= {
        "gatepost_decisions",
        "gatepost_requests",
        "gatepost_request_seconds",
        "gatepost_requests_ended",
    }
    assert all(family.documentation for family in families.values())
    assert samples["gatepost_request_seconds_count", "kind=parked"] == 0


def test_gauges_are_asked_when_they_are_scraped():
    metrics, values = GatewayMetrics(), [1.0]
    metrics.gauges["gatepost_something"] = ("Something.", lambda: values[0])
    assert scraped(metrics)[1]["gatepost_something",] == 1.0
    values[0] = 2.0
    assert scraped(metrics)[1]["gatepost_something",] == 2.0


def test_what_a_running_gateway_tells(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone, ping = await r.phone(), await r.phone()
            await phone.post("FolderSync")
            ping.send("Ping")
            await r.until(lambda: r.mail.parked == 1)
            families, samples = scraped(r.gateway.metrics)
            assert set(families) >= GAUGES
            assert all(families[name].type == "gauge" and families[name].documentation for name in GAUGES)
            assert samples["gatepost_parked_requests",] == 1
            assert samples["gatepost_requests_in_flight",] == 1
            assert samples["gatepost_connections",] == 2
            assert samples["gatepost_devices",] == 1
            assert samples["gatepost_upstream_connections",] >= 1
            assert samples["gatepost_replica_revision",] == r.gateway.replica.revision
            assert 0 <= samples["gatepost_replica_age_seconds",] < 5
            assert samples["gatepost_requests_total", "command=FolderSync", "status=200"] == 1
            r.override("DENY")
            await ping.answer()
            _, samples = scraped(r.gateway.metrics)
            assert samples["gatepost_requests_ended_total",] == 1
            assert samples["gatepost_parked_requests",] == 0
            assert samples["gatepost_requests_total", "command=Ping", "status=200"] == 1
            assert samples["gatepost_decisions_total", "effect=DENY", "reason=MobileDeviceAccessOverride"] == 1

    run(story())


def test_an_age_is_a_number_even_before_the_store_has_answered(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.gateway.replica._heard = -math.inf
            assert scraped(r.gateway.metrics)[1]["gatepost_replica_age_seconds",] == 1e9

    run(story())
