"""The bridge's tables. Nothing decides by them but the bridge, so they are not in the feed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text

from gatepost.store.columns import Document, Key, Moment, Revision, metadata

# What sources sent, as it came: for replay, and to see a repetition.
mdm_notifications = Table(
    "mdm_notifications",
    metadata,
    Column("source", Key, primary_key=True),
    Column("notification_id", Key, primary_key=True),
    Column("device_key", Key),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("times", Integer, nullable=False),
    Index(None, "source", "received_at"),
)

# Devices to look at: one row for a device, however often it is told of. `generation` moves when it is told of while it
# is being handled; `lease_token` is the fence.
mdm_work = Table(
    "mdm_work",
    metadata,
    Column("source", Key, primary_key=True),
    Column("device_key", Key, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("due", Moment, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", Moment),
    Column("lease_token", Text),
    Column("last_error", Text),
    Column("parked_at", Moment),
    Index(None, "urgent", "due"),
)

# A device as its source described it last, and since when it has been so.
mdm_devices = Table(
    "mdm_devices",
    metadata,
    Column("source", Key, primary_key=True),
    Column("device_key", Key, primary_key=True),
    Column("managed", Text, nullable=False),
    Column("compliance", Text, nullable=False),
    Column("compromised", Boolean),
    Column("user_addresses", Document, nullable=False),
    Column("device_ids", Document, nullable=False),
    Column("serial", Text),
    Column("imei", Text),
    Column("friendly_name", Text),
    Column("state_time", Moment),
    Column("observed_at", Moment, nullable=False),
    Column("grace_until", Moment),
    Column("gone", Boolean, nullable=False),
    Column("other_key", Key),
    Column("pending_since", Moment),
    Column("compliant_since", Moment),
    Column("without_ids_since", Moment),
    Column("managed_since", Moment),
    Column("left_since", Moment),
    Column("missing_since", Moment),
    Column("first_seen", Moment, nullable=False),
    Index(None, "serial"),
    Index(None, "imei"),
    Index(None, "source", "other_key"),
)

# Every DeviceId and every user that a device ever had. No foreign key: `mdm_devices` writes both.
mdm_bindings = Table(
    "mdm_bindings",
    metadata,
    Column("source", Key, primary_key=True),
    Column("device_key", Key, primary_key=True),
    Column("kind", Key, primary_key=True),
    Column("value", Key, primary_key=True),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False),
    Index(None, "kind", "value"),
)

# What the bridge wrote last at each target: how it knows its own, and sees that somebody edited it.
mdm_applied = Table(
    "mdm_applied",
    metadata,
    Column("target", Key, primary_key=True),
    Column("organization_id", Key, primary_key=True),
    Column("user_id", Key, primary_key=True),
    Column("device_id", Key, primary_key=True),
    Column("effect", Text, nullable=False),
    Column("description", Text),
    Column("expires", Moment),
    Column("source", Key, nullable=False),
    Column("device_key", Key, nullable=False),
    Column("written_at", Moment, nullable=False),
    Column("theirs_since", Moment),
    Column("doubtful_since", Moment),
    Index(None, "source", "device_key"),
)

# What the mass-change guard has counted since the source's last sweep began: devices that have an ALLOW, and whether they
# would lose it.
mdm_looks = Table(
    "mdm_looks",
    metadata,
    Column("source", Key, primary_key=True),
    Column("device_key", Key, primary_key=True),
    Column("turned", Boolean, nullable=False),
)

mdm_sources = Table(
    "mdm_sources",
    metadata,
    Column("source", Key, primary_key=True),
    Column("answered_at", Moment),
    Column("sweep_started_at", Moment),
    Column("sweep_finished_at", Moment),
    Column("sweep_settled_at", Moment),
    Column("sweep_position", Text),
    Column("sweep_allowed", Integer),
    Column("listed", Integer),
    Column("failures", Integer, nullable=False),
    Column("last_error", Text),
    Column("closed_until", Moment),
    Column("quota_remaining", Revision),
    Column("quota_reset_at", Moment),
    Column("guard", Text),
    Column("guard_since", Moment),
    Column("guard_confirmed_at", Moment),
    Column("alive_at", Moment),
)
