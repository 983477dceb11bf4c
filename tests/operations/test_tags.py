import pytest

from gatepost.operations import organizations, tags
from gatepost.operations.errors import (
    InvalidParameterException,
    OrganizationStateException,
    ResourceNotFoundException,
    TooManyTagsException,
)


def arn(organization_id, region="gatepost", account="000000000000"):
    return f"arn:aws:workmail:{region}:{account}:organization/{organization_id}"


def tag(context, organization_id, **pairs):
    given = [{"Key": key, "Value": value} for key, value in pairs.items()]
    tags.tag(context, resource_arn=arn(organization_id), tags=given)


def listed(context, organization_id):
    return tags.list(context, resource_arn=arn(organization_id))


def test_tags_are_added_replaced_and_removed(context, organization_id, closed_id):
    tag(context, organization_id, priority="1", Priority="2", owner="")
    tag(context, organization_id, priority="3", site="Lisbon")
    assert listed(context, organization_id) == {"Priority": "2", "owner": "", "priority": "3", "site": "Lisbon"}
    tags.untag(context, resource_arn=arn(organization_id), tag_keys=["priority", "SITE", "owner"])
    assert listed(context, organization_id) == {"Priority": "2", "site": "Lisbon"}
    assert listed(context, closed_id) == {}


def test_an_arn_from_any_account_names_the_organization(context, organization_id):
    tag(context, organization_id, a="1")
    for region, account in (("us-west-2", "111122223333"), ("", "111122223333")):
        assert tags.list(context, resource_arn=arn(organization_id, region, account)) == {"a": "1"}


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:workmail:us-west-2:111122223333:organization/m-00000000000000000000000000000000",
        "arn:aws:workmail:us-west-2:111122223333:organization/{id}/user/x",
        "arn:aws:workmail:us-west-2:111122223333:organization/{id}\n",
        "arn:aws:workmail:us-west-2:111122223333:organisation/{id}",
        "arn:aws:workmail:us-west-2:111122223333:{id}",
        "arn:aws:ses:us-west-2:111122223333:organization/{id}",
    ],
)
def test_other_resources_are_not_found(context, organization_id, resource):
    named = resource.format(id=organization_id)
    with pytest.raises(ResourceNotFoundException):
        tags.tag(context, resource_arn=named, tags=[{"Key": "a", "Value": "1"}])
    with pytest.raises(ResourceNotFoundException):
        tags.untag(context, resource_arn=named, tag_keys=["a"])
    with pytest.raises(ResourceNotFoundException):
        tags.list(context, resource_arn=named)


def test_fifty_tags_are_the_limit_and_replacing_goes_on(context, organization_id):
    tag(context, organization_id, **{f"key{number}": "1" for number in range(30)})
    tag(context, organization_id, **{f"key{number}": "2" for number in range(10, 50)})
    with pytest.raises(TooManyTagsException):
        tag(context, organization_id, key1="3", another="3")
    assert listed(context, organization_id)["key1"] == "1"
    tag(context, organization_id, key1="3")
    tags.untag(context, resource_arn=arn(organization_id), tag_keys=["key0"])
    tag(context, organization_id, another="3")
    assert len(listed(context, organization_id)) == tags.MAX_TAGS


@pytest.mark.parametrize("key", ["aws:cloudformation", "AWS:x", "aWs:"])
def test_what_aws_reserves_is_refused(context, organization_id, key):
    with pytest.raises(InvalidParameterException, match="reserved"):
        tag(context, organization_id, **{"fine": "1", key: "1"})
    tag(context, organization_id, aws="aws:fine", awsome="1")
    assert listed(context, organization_id) == {"aws": "aws:fine", "awsome": "1"}


def test_a_key_is_given_once(context, organization_id):
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "1"}]
    with pytest.raises(InvalidParameterException, match="once"):
        tags.tag(context, resource_arn=arn(organization_id), tags=twice)


def test_tags_go_with_their_organization(context, organization_id):
    tag(context, organization_id, a="1")
    organizations.delete(context, organization_id=organization_id, delete_directory=True)
    with pytest.raises(OrganizationStateException):
        tag(context, organization_id, a="1")
    assert listed(context, organization_id) == {}
    tags.untag(context, resource_arn=arn(organization_id), tag_keys=["a"])
