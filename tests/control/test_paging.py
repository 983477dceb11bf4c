"""Paging through boto3's paginators, also while rows come and go."""

import threading

import pytest

from gatepost.operations import users


def test_every_paginator_that_botocore_has_for_our_operations(server, client, organization_id, domain, alice):
    where = {"OrganizationId": organization_id}
    for number in range(7):
        client.create_user(**where, Name=f"user{number}", DisplayName="One")
        client.create_alias(**where, EntityId=alice, Alias=f"alice{number}@{domain}")
        client.put_mobile_device_access_override(**where, UserId="alice", DeviceId=f"A{number}", Effect="DENY")
        client.create_organization(Alias=server.alias())
    small = {"PaginationConfig": {"PageSize": 3}}

    def every(operation, member, **parameters):
        pages = client.get_paginator(operation).paginate(**parameters, **small)
        found = [item for page in pages for item in page[member]]
        assert all(len(page[member]) <= 3 for page in pages)
        return found

    assert {user["Name"] for user in every("list_users", "Users", **where)} == {
        "alice",
        *(f"user{number}" for number in range(7)),
    }
    assert every("list_aliases", "Aliases", **where, EntityId=alice) == [f"alice{n}@{domain}" for n in range(7)]
    organizations = [one["OrganizationId"] for one in every("list_organizations", "OrganizationSummaries")]
    assert organization_id in organizations
    assert organizations == sorted(set(organizations))


def overrides(client, organization_id, size):
    """Every override, page by page (botocore has no paginator for this operation)."""
    token = {}
    while True:
        page = client.list_mobile_device_access_overrides(OrganizationId=organization_id, MaxResults=size, **token)
        yield from page["Overrides"]
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def test_overrides_that_stay_are_seen_once_while_others_come_and_go(server, client, organization_id, domain):
    where = {"OrganizationId": organization_id}
    lasting = {f"L{number:02}" for number in range(20)}
    for device_id in lasting:
        client.put_mobile_device_access_override(**where, UserId=f"alice@{domain}", DeviceId=device_id, Effect="DENY")
    stop = threading.Event()

    def come_and_go():
        other = server.client()
        number = 0
        while not stop.is_set():
            number += 1
            passing = {**where, "UserId": f"alice@{domain}", "DeviceId": f"{'AZ'[number % 2]}{number % 7}"}
            other.put_mobile_device_access_override(**passing, Effect="ALLOW")
            other.delete_mobile_device_access_override(**passing)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(10):
            seen = [one["DeviceId"] for one in overrides(client, organization_id, 2) if one["DeviceId"] in lasting]
            assert seen == sorted(lasting)
    finally:
        stop.set()
        thread.join()


def test_a_page_goes_on_after_a_row_that_has_gone(client, organization_id, domain):
    where = {"OrganizationId": organization_id}
    for number in range(4):
        client.put_mobile_device_access_override(
            **where, UserId=f"alice@{domain}", DeviceId=f"A{number}", Effect="DENY"
        )
    first = client.list_mobile_device_access_overrides(**where, MaxResults=2)
    client.delete_mobile_device_access_override(**where, UserId=f"alice@{domain}", DeviceId="A1")
    rest = client.list_mobile_device_access_overrides(**where, NextToken=first["NextToken"])
    assert [one["DeviceId"] for one in rest["Overrides"]] == ["A2", "A3"]


@pytest.mark.parametrize("token", ["garbage", "bm90IGpzb24=", "é", "x" * 1024])
def test_garbage_is_an_invalid_parameter(client, organization_id, token):
    with pytest.raises(client.exceptions.InvalidParameterException, match="NextToken"):
        client.list_users(OrganizationId=organization_id, NextToken=token)


def test_a_token_serves_its_own_question_only(server, client, organization_id):
    for name in ("a", "b"):
        client.create_user(OrganizationId=organization_id, Name=name, DisplayName="One")
    token = client.list_users(OrganizationId=organization_id, MaxResults=1)["NextToken"]
    other = client.create_organization(Alias=server.alias())["OrganizationId"]
    for question in (
        lambda: client.list_users(OrganizationId=other, NextToken=token),
        lambda: client.list_users(OrganizationId=organization_id, NextToken=token, Filters={"State": "ENABLED"}),
        lambda: client.list_mobile_device_access_overrides(OrganizationId=organization_id, NextToken=token),
        lambda: client.list_organizations(NextToken=token),
    ):
        with pytest.raises(client.exceptions.InvalidParameterException, match="NextToken"):
            question()


def test_a_page_holds_a_hundred_where_nothing_is_said(server, client, organization_id, domain):
    for number in range(250):
        users.enroll(server.context, organization_id, f"user{number}@{domain}")
    pages = list(client.get_paginator("list_users").paginate(OrganizationId=organization_id))
    assert [len(page["Users"]) for page in pages] == [100, 100, 50]
