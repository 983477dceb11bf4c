from gatepost.control import contract


def test_the_model_is_workmails():
    assert contract.service_model().metadata["targetPrefix"] == contract.TARGET_PREFIX
    assert contract.service_model().metadata["endpointPrefix"] == contract.SIGNING_NAME
    assert len(contract.operation_names()) == len(contract.service_model().operation_names) > 90


def test_shapes_and_errors_are_read_from_it():
    assert contract.input_shape("DescribeUser").required_members == ["OrganizationId", "UserId"]
    assert "Email" in contract.output_shape("DescribeUser").members
    assert contract.output_shape("DeleteUser").members == {}
    assert contract.error_names("ListOrganizations") == ("InvalidParameterException",)


def test_the_model_is_botocores_own_whatever_lies_in_the_users_home(monkeypatch, tmp_path):
    """A model in ~/.aws/models would decide what this server accepts."""
    fake = tmp_path / ".aws" / "models" / "workmail" / "2017-10-01"
    fake.mkdir(parents=True)
    (fake / "service-2.json").write_text('{"metadata": {}, "operations": {}, "shapes": {}}')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path / ".aws" / "models"))
    contract.service_model.cache_clear()
    try:
        assert len(contract.service_model().operation_names) > 90
    finally:
        contract.service_model.cache_clear()


def test_what_is_wider_is_in_the_model():
    shapes = contract.service_model()
    for name, limits in contract.WIDER.items():
        own = shapes.shape_for(name).metadata
        assert limits["max"] >= own["max"]
        assert limits["min"] == own["min"]
