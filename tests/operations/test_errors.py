import botocore.session
import pytest

from gatepost.operations import errors

CLASSES = [one for one in vars(errors).values() if isinstance(one, type) and one.__base__ is errors.WorkMailError]


def test_every_error_is_an_exception_of_workmail():
    model = botocore.session.get_session().get_service_model("workmail")
    modelled = {
        shape.name for operation in model.operation_names for shape in model.operation_model(operation).error_shapes
    }
    assert {one.__name__ for one in CLASSES} <= modelled


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_has_words_of_its_own_or_those_it_is_given(error):
    assert str(error()) == error.default_message != errors.WorkMailError.default_message
    assert str(error("these")) == "these"
