import inspect

import pytest
from botocore import xform_name

from gatepost.control.contract import input_shape, operation_names
from gatepost.control.dispatch import OPERATIONS, operation_named, run
from gatepost.control.failures import RequestError
from gatepost.operations.errors import UnsupportedOperationException


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_takes_the_parameters_of_the_model(name):
    """Each member of the model's input has its parameter, and what the model requires has no default."""
    shape = input_shape(name)
    parameters = dict(inspect.signature(OPERATIONS[name].act).parameters)
    context = next(iter(parameters))
    assert context == "context"
    del parameters["context"]
    lists = [one for one in parameters.values() if one.kind is inspect.Parameter.VAR_KEYWORD]
    named = {one.name: one for one in parameters.values() if one not in lists}
    members = {xform_name(member): member in shape.required_members for member in shape.members}
    if lists:  # the eight condition lists
        members = {
            member: required for member, required in members.items() if "device_" not in member or member in named
        }
    # What our own commands say beyond the API.
    ours_alone = {
        "CreateOrganization": {"organization_id", "directory"},
        "PutMobileDeviceAccessOverride": {"expires"},
    }.get(name, set())
    assert set(named) - ours_alone == set(members)
    assert {one for one in members if named[one].default is inspect.Parameter.empty} == {
        one for one, required in members.items() if required
    }


def test_the_target_names_the_operation():
    assert operation_named("WorkMailService.ListUsers") == "ListUsers"


@pytest.mark.parametrize(
    "target", [None, "", "ListUsers", "WorkMailService.Nonsense", "Other.ListUsers", "WorkMailService.listusers"]
)
def test_what_workmail_does_not_have_is_unknown(target):
    with pytest.raises(RequestError) as error:
        operation_named(target)
    assert error.value.name == "UnknownOperationException"


@pytest.mark.parametrize("name", sorted(operation_names() - set(OPERATIONS)))
def test_what_only_workmail_has_is_unsupported(name):
    with pytest.raises(UnsupportedOperationException, match=f"{name} is an operation of Amazon WorkMail that Gatepost"):
        run(None, operation_named(f"WorkMailService.{name}"), {})
