from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gatepost.telemetry import new_registry, render


class Age(Collector):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def collect(self):
        yield GaugeMetricFamily("gatepost_age_seconds", "An age.", value=self.seconds)


def samples(registry) -> dict[str, float]:
    text, content_type = render(registry)
    assert content_type.startswith("text/plain; version=")
    families = text_string_to_metric_families(text.decode())
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def test_the_process_and_the_collectors_are_told():
    found = samples(new_registry(Age(2.5)))
    assert found["gatepost_age_seconds"] == 2.5
    assert found["process_resident_memory_bytes"] > 1_000_000


def test_a_collector_is_asked_each_time():
    age = Age(1.0)
    registry = new_registry(age)
    samples(registry)
    age.seconds = 9.0
    assert samples(registry)["gatepost_age_seconds"] == 9.0


def test_two_registries_do_not_share():
    new_registry(Age(1.0))
    assert "gatepost_age_seconds" not in samples(new_registry())
