from prometheus_client.parser import text_string_to_metric_families

from gatepost.telemetry.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.render()[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_decisions_are_counted_by_effect_and_reason():
    metrics = Metrics()
    metrics.decided("DENY", "MobileDeviceAccessOverride", 0.00002)
    metrics.decided(None, "DeviceInformationRequired")
    found = samples(metrics)
    assert found["gatepost_decisions_total", (("effect", "DENY"), ("reason", "MobileDeviceAccessOverride"))] == 1
    assert found["gatepost_decisions_total", (("effect", "NONE"), ("reason", "DeviceInformationRequired"))] == 1
    assert found["gatepost_decision_seconds_count", ()] == 1


def test_answers_are_counted_and_timed():
    metrics = Metrics()
    metrics.answered("gateway", "FolderSync", 200, 0.003)
    metrics.answered("gateway", "Ping", 200)
    found = samples(metrics)
    assert found["gatepost_requests_total", (("command", "FolderSync"), ("face", "gateway"), ("status", "200"))] == 1
    assert found["gatepost_request_seconds_count", (("face", "gateway"),)] == 1
    assert found["gatepost_request_seconds_bucket", (("face", "gateway"), ("le", "0.0025"))] == 0
    assert found["gatepost_request_seconds_bucket", (("face", "gateway"), ("le", "0.005"))] == 1


def test_gauges_are_asked_when_they_are_read():
    metrics, values = Metrics(), {"age": 0.5, "parked": 1}
    metrics.watch_replica(lambda: 7, lambda: values["age"], lambda: values["parked"])
    values["age"], values["parked"] = 2.5, 3
    metrics.ended()
    found = samples(metrics)
    assert (found["gatepost_replica_revision", ()], found["gatepost_replica_age_seconds", ()]) == (7, 2.5)
    assert (found["gatepost_parked_requests", ()], found["gatepost_parked_requests_ended_total", ()]) == (3, 1)


def test_two_of_them_do_not_add_up():
    first, second = Metrics(), Metrics()
    first.ended()
    assert samples(second)["gatepost_parked_requests_ended_total", ()] == 0
