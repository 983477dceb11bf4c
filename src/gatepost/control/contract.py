"""AWS's own contract of the WorkMail API: the service model that botocore ships, and where ours is wider."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

TARGET_PREFIX = "WorkMailService"
SIGNING_NAME = "workmail"

# The shapes that accept more here than the model says, by shape name. Organization ids: WorkMail's guide itself uses ids
# that are not hexadecimal. Address ranges and addresses: IPv6 is ours; `operations` checks what is written in them.
WIDER: dict[str, dict[str, Any]] = {
    "OrganizationId": {"min": 34, "max": 34, "pattern": "^m-[0-9a-z]{32}$"},
    "IpRange": {"min": 1, "max": 49},
    "IpAddress": {"min": 1, "max": 45},
}


@cache
def service_model() -> Any:
    """The `workmail` service model of botocore (2017-10-01); read once, from botocore's own files and never from `~/.aws`."""
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return ServiceModel(loader.load_service_model("workmail", "service-2", "2017-10-01"), "workmail")


@cache
def operation_names() -> frozenset[str]:
    """Every operation that WorkMail has, ours or not."""
    return frozenset(service_model().operation_names)


def input_shape(operation: str) -> Any:
    """The model of what `operation` takes."""
    return service_model().operation_model(operation).input_shape


def output_shape(operation: str) -> Any:
    """The model of what `operation` answers, None where it answers nothing."""
    return service_model().operation_model(operation).output_shape


def error_names(operation: str) -> tuple[str, ...]:
    """The exceptions that `operation` documents."""
    return tuple(shape.name for shape in service_model().operation_model(operation).error_shapes)
