from datetime import UTC, datetime

from gatepost.model import Device, DeviceFacts, Kind
from gatepost.operations.devices import forget
from gatepost.store import devices, feed

SEEN = datetime(2026, 1, 2, tzinfo=UTC)


def device(organization_id, device_id):
    return Device(organization_id, "user", device_id, "iPhone", None, "16.1", None, SEEN, SEEN, DeviceFacts())


def test_what_is_forgotten_is_told_to_the_gateways(context, organization_id):
    one, two = device(organization_id, "ONE"), device(organization_id, "TWO")
    with context.store.begin() as transaction:
        devices.save(transaction, [one, two])
    epoch = context.store.epoch
    before = feed.load(context.store).revision
    assert forget(context, [one, device(organization_id, "NEVER")]) == 1
    [change] = feed.changes_after(context.store, epoch, before)
    assert (change.kind, change.key, change.noun) == (Kind.DEVICE, ("user", "ONE"), None)
    with context.store.read() as reader:
        assert devices.page(reader, organization_id, None, 10) == [two]
