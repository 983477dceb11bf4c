"""The rate of a key's requests: the bucket by itself, and boto3, which has to get over it by itself."""

import threading

import pytest
from botocore.exceptions import ClientError

from gatepost.control.failures import RequestError
from gatepost.control.throttle import Throttle
from gatepost.operations import access_keys


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def admitted(throttle, key="AKIAONE", requests=100):
    """How many of so many requests at once were let in."""
    count = 0
    for _ in range(requests):
        try:
            throttle.admit(key)
        except RequestError as error:
            assert (error.name, str(error), error.status) == ("ThrottlingException", "Rate exceeded", 400)  # noqa: PT017
        else:
            count += 1
    return count


def test_a_burst_and_then_the_rate(clock):
    throttle = Throttle(2, 10, clock)
    assert admitted(throttle) == 10
    clock.now += 0.4
    assert admitted(throttle) == 0
    clock.now += 0.1  # a refusal costs nothing: these 0.5 seconds are one request
    assert admitted(throttle) == 1
    clock.now += 3
    assert admitted(throttle) == 6
    clock.now += 3600
    assert admitted(throttle) == 10


def test_each_key_has_its_own(clock):
    throttle = Throttle(1, 3, clock)
    assert admitted(throttle, "AKIAONE") == 3
    assert admitted(throttle, "AKIATWO") == 3
    assert admitted(throttle, "AKIAONE") == 0


def test_no_limit(clock):
    assert admitted(Throttle(0, 1, clock), requests=10_000) == 10_000


def test_a_clock_that_goes_back_takes_nothing_away(clock):
    throttle = Throttle(1, 3, clock)
    throttle.admit("AKIAONE")
    clock.now -= 100
    assert admitted(throttle) == 2


def test_many_threads_get_no_more(clock):
    throttle, counts = Throttle(1, 50, clock), []
    threads = [threading.Thread(target=lambda: counts.append(admitted(throttle))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 50


@pytest.fixture
def throttled_server(own_server, clock):
    """A server where one request in ten seconds is the rate, and one the burst."""
    return own_server(throttle=Throttle(0.1, 1, clock))


def test_awss_words(throttled_server):
    client = throttled_server.client()
    client.list_organizations()
    with pytest.raises(ClientError) as refused:
        client.list_organizations()
    response = refused.value.response
    assert response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("mode", ["standard", "adaptive", "legacy"])
def test_boto3_gets_over_it_by_itself(throttled_server, clock, monkeypatch, mode):
    """With its own number of attempts and its own waiting; only our clock goes faster: a refusal is followed by ten seconds."""
    admit = Throttle.admit

    def and_time_passes(throttle, access_key_id):
        try:
            admit(throttle, access_key_id)
        except RequestError:
            clock.now += 10
            raise

    monkeypatch.setattr(Throttle, "admit", and_time_passes)
    client = throttled_server.client(retries={"mode": mode})
    attempts = [client.list_organizations()["ResponseMetadata"]["RetryAttempts"] for _ in range(3)]
    assert attempts == [0, 1, 1]


def test_a_stranger_uses_up_nobodys_requests(throttled_server):
    """The key's id is no secret; who has not its secret is refused before the rate is looked at."""
    stranger = throttled_server.client(secret="x" * 40)
    for _ in range(5):
        with pytest.raises(ClientError, match="InvalidSignatureException"):
            stranger.list_organizations()
    assert throttled_server.client().list_organizations()


def test_a_key_is_throttled_and_another_one_is_not(throttled_server):
    key, secret = access_keys.create(throttled_server.context, throttled_server.sealing_key)
    throttled_server.client().list_organizations()
    with pytest.raises(ClientError, match="ThrottlingException"):
        throttled_server.client().list_organizations()
    assert throttled_server.client(key.access_key_id, secret).list_organizations()


def test_whatever_a_key_sends_counts(throttled_server):
    """Denied, unknown or wrong: it was work."""
    assert throttled_server.post(target="WorkMailService.Nonsense")[2]["__type"] == "UnknownOperationException"
    assert throttled_server.post()[2]["__type"] == "ThrottlingException"
