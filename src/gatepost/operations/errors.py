"""WorkMail's exceptions: what an operation raises, by the names and with the words of the WorkMail API."""

# ruff: noqa: N818 -- the names are WorkMail's

from __future__ import annotations

from typing import ClassVar


class WorkMailError(Exception):
    """An operation was refused; the class's name is the exception's name in the API, `str()` its message."""

    default_message: ClassVar[str] = "The request was refused."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default_message)


class DirectoryUnavailableException(WorkMailError):
    """Another directory than the organization's own was asked for."""

    default_message = "The directory is unavailable. It might be located in another Region or deleted."


class EmailAddressInUseException(WorkMailError):
    """The address is a login of another user."""

    default_message = (
        "The email address that you're trying to assign is already created for a different user, group, or resource."
    )


class EntityAlreadyRegisteredException(WorkMailError):
    """The user is enabled under another address."""

    default_message = "The user, group, or resource that you're trying to register is already registered."


class EntityNotFoundException(WorkMailError):
    """There is no such user, or no such rule."""

    default_message = "The identifier supplied for the user, group, or resource does not exist in your organization."


class EntityStateException(WorkMailError):
    """The user is not in the state that the operation needs."""

    default_message = (
        "You are performing an operation on a user, group, or resource that isn't in the expected state, "
        "such as trying to delete an active user."
    )


class InvalidParameterException(WorkMailError):
    """A parameter is not what the operation takes."""

    default_message = "One or more of the input parameters don't match the service's restrictions."


class LimitExceededException(WorkMailError):
    """One more of these than an organization, or a user, may have."""

    default_message = "The request exceeds the limit of the resource."


class MailDomainInUseException(WorkMailError):
    """The domain is another organization's, the default one, or the domain of somebody's address."""

    default_message = (
        "The domain you're trying to change is in use by another user or organization in your account. "
        "See the error message for details."
    )


class MailDomainNotFoundException(WorkMailError):
    """The domain, or that of an address, is not one of the organization's mail domains."""

    default_message = "The domain specified is not found in your organization."


class NameAvailabilityException(WorkMailError):
    """The name is taken."""

    default_message = "The user, group, or resource name isn't unique in WorkMail."


class OrganizationNotFoundException(WorkMailError):
    """There is no such organization."""

    default_message = (
        "An operation received a valid organization identifier that either doesn't belong or exist in the system."
    )


class OrganizationStateException(WorkMailError):
    """The organization is deleted, or has enabled users and is to be deleted without force."""

    default_message = (
        "The organization must have a valid state to perform certain operations on the organization or its members."
    )


class ReservedNameException(WorkMailError):
    """The name cannot be a user's."""

    default_message = "This user, group, or resource name is not allowed in WorkMail."


class ResourceNotFoundException(WorkMailError):
    """There is no such override or impersonation role, or no organization of this ARN."""

    default_message = "The resource cannot be found."


class TooManyTagsException(WorkMailError):
    """One more tag than an organization may have."""

    default_message = "The resource can have up to 50 user-applied tags."


class UnsupportedOperationException(WorkMailError):
    """WorkMail has this operation, Gatepost does not."""

    default_message = "This operation of WorkMail is not part of Gatepost."
