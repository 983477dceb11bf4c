import asyncio
from dataclasses import replace

import pytest

from gatepost.gateway.identify import Identifier, Identity
from gatepost.gateway.replica import Replica
from gatepost.model import EntityState, Group, enrolled_user_id
from gatepost.operations import aliases, mail_domains, organizations, registrations, users
from gatepost.operations.errors import (
    InvalidParameterException,
    LimitExceededException,
    MailDomainInUseException,
    MailDomainNotFoundException,
    OrganizationStateException,
)
from gatepost.operations.mail_domains import MailDomain
from gatepost.store import groups as group_rows
from gatepost.store import organizations as organization_rows


def register(context, organization_id, domain_name, **more):
    mail_domains.register(context, organization_id=organization_id, domain_name=domain_name, **more)


def deregister(context, organization_id, domain_name):
    mail_domains.deregister(context, organization_id=organization_id, domain_name=domain_name)


def make_default(context, organization_id, domain_name):
    mail_domains.update_default(context, organization_id=organization_id, domain_name=domain_name)


def names(context, organization_id, **more):
    return [domain.name for domain in mail_domains.list(context, organization_id=organization_id, **more).items]


def enable(context, organization_id, name, email):
    user_id = users.create(context, organization_id=organization_id, name=name, display_name=name)
    registrations.register_to_work_mail(context, organization_id=organization_id, entity_id=user_id, email=email)
    return user_id


def test_domains_are_registered_in_lower_case_and_once(context, organization_id, revision):
    register(context, organization_id, "Mail.Example.ORG")
    assert names(context, organization_id) == ["example.com", "example.net", "mail.example.org"]
    before = revision()
    register(context, organization_id, "mail.example.org")
    assert revision() == before


@pytest.mark.parametrize("name", ["example", "-a.example", "a..example", ".example", "example.", "a-.example"])
def test_what_is_no_domain_name_is_refused(context, organization_id, name):
    for operation in (register, deregister, make_default):
        with pytest.raises(InvalidParameterException, match="is not a domain name"):
            operation(context, organization_id, name)


def test_a_domain_belongs_to_one_organization_until_that_lets_it_go(context, organization_id, closed_id):
    with pytest.raises(MailDomainInUseException, match=r"closed\.example is in use by another organization"):
        register(context, organization_id, "CLOSED.example")
    register(context, closed_id, "second.example")
    deregister(context, closed_id, "second.example")
    register(context, organization_id, "second.example")


def test_a_client_token_registers_once(context, organization_id):
    register(context, organization_id, "example.org", client_token="token")
    deregister(context, organization_id, "example.org")
    register(context, organization_id, "example.org", client_token="token")
    assert "example.org" not in names(context, organization_id)
    with pytest.raises(InvalidParameterException, match="ClientToken"):
        register(context, organization_id, "other.example", client_token="token")


def test_a_thousand_domains_are_the_limit(context, organization_id):
    with context.store.begin() as transaction:
        organization = organization_rows.get(transaction, organization_id)
        many = tuple(f"d{number}.example" for number in range(mail_domains.MAX_DOMAINS - 3))
        organization_rows.put(transaction, replace(organization, domains=(*organization.domains, *many)))
    register(context, organization_id, "last.example")
    with pytest.raises(LimitExceededException):
        register(context, organization_id, "one.more.example")
    register(context, organization_id, "LAST.example")


def test_the_domain_of_an_alias_is_that_organizations(context, organization_id):
    """Another organization would otherwise take the name that one of this alias is created with."""
    with pytest.raises(InvalidParameterException, match="reserved"):
        register(context, organization_id, "other.gatepost.internal")
    register(context, organization_id, "example.gatepost.internal")
    described = mail_domains.get(context, organization_id=organization_id, domain_name="Example.Gatepost.internal")
    assert described == MailDomain("example.gatepost.internal", is_default=False, is_test_domain=True)


def test_the_domain_of_an_alias_can_go_when_another_is_the_default(context):
    organization_id = organizations.create(context, alias="Plain")
    assert mail_domains.list(context, organization_id=organization_id).items == (
        MailDomain("plain.gatepost.internal", is_default=True, is_test_domain=True),
    )
    register(context, organization_id, "plain.example")
    make_default(context, organization_id, "plain.example")
    deregister(context, organization_id, "plain.gatepost.internal")
    assert mail_domains.list(context, organization_id=organization_id).items == (
        MailDomain("plain.example", is_default=True, is_test_domain=False),
    )


def test_the_default_domain_stays(context, organization_id):
    with pytest.raises(MailDomainInUseException, match=r"example\.com is the default mail domain"):
        deregister(context, organization_id, "EXAMPLE.com")
    make_default(context, organization_id, "example.net")
    deregister(context, organization_id, "example.com")
    assert names(context, organization_id) == ["example.net"]


def test_deregistering_what_is_not_there_is_a_success(context, organization_id, closed_id, revision):
    before = revision()
    deregister(context, organization_id, "nowhere.example")
    deregister(context, organization_id, "closed.example")
    assert revision() == before
    assert names(context, closed_id) == ["closed.example"]


def test_a_domain_with_addresses_stays(context, organization_id, alice):
    alias = {"organization_id": organization_id, "entity_id": alice, "alias": "Ally@Example.NET"}
    aliases.create(context, **alias)
    with pytest.raises(MailDomainInUseException, match="in use by alice"):
        deregister(context, organization_id, "example.net")
    aliases.delete(context, **alias)
    bob = enable(context, organization_id, "bob", "bob@example.net")
    registrations.deregister_from_work_mail(context, organization_id=organization_id, entity_id=bob)
    with pytest.raises(MailDomainInUseException, match="in use by bob"):
        deregister(context, organization_id, "example.net")
    users.delete(context, organization_id=organization_id, user_id=bob)
    deregister(context, organization_id, "example.net")


def test_a_domain_with_a_groups_address_stays(context, organization_id):
    group = Group(organization_id, "group", "staff", "staff@example.net", (), EntityState.ENABLED, False, context.now())
    with context.store.begin() as transaction:
        group_rows.put(transaction, group)
    with pytest.raises(MailDomainInUseException, match="in use by staff"):
        deregister(context, organization_id, "example.net")
    with context.store.begin() as transaction:
        group_rows.put(transaction, replace(group, state=EntityState.DELETED))
    deregister(context, organization_id, "example.net")


def test_a_name_that_looks_like_an_address_keeps_no_domain(context, organization_id):
    users.create(context, organization_id=organization_id, name="carol@example.net", display_name="Carol")
    deregister(context, organization_id, "example.net")
    assert names(context, organization_id) == ["example.com"]


def test_an_address_in_a_subdomain_is_in_another_domain(context, organization_id):
    register(context, organization_id, "sub.example.net")
    enable(context, organization_id, "erin", "erin@sub.example.net")
    deregister(context, organization_id, "example.net")
    with pytest.raises(MailDomainInUseException):
        deregister(context, organization_id, "sub.example.net")


def test_an_address_needs_a_registered_domain(context, organization_id):
    with pytest.raises(MailDomainNotFoundException):
        enable(context, organization_id, "frank", "frank@example.org")
    register(context, organization_id, "example.org")
    registrations.register_to_work_mail(
        context, organization_id=organization_id, entity_id="frank", email="frank@example.org"
    )


def test_pages_go_on_after_the_last_name(context, organization_id):
    for name in ("b.example", "d.example"):
        register(context, organization_id, name)
    first = mail_domains.list(context, organization_id=organization_id, max_results=2)
    assert [domain.name for domain in first.items] == ["b.example", "d.example"]
    deregister(context, organization_id, "d.example")
    register(context, organization_id, "a.example")
    register(context, organization_id, "e.example")
    assert names(context, organization_id, next_token=first.next_token) == ["e.example", "example.com", "example.net"]


def test_an_unknown_domain_is_not_found(context, organization_id, closed_id):
    for name in ("nowhere.example", "closed.example"):
        with pytest.raises(MailDomainNotFoundException):
            mail_domains.get(context, organization_id=organization_id, domain_name=name)
        with pytest.raises(MailDomainNotFoundException):
            make_default(context, organization_id, name)


def test_the_default_domain_that_it_is_already_is_no_change(context, organization_id, revision):
    before = revision()
    make_default(context, organization_id, "Example.COM")
    assert revision() == before
    assert organizations.describe(context, organization_id=organization_id).default_domain == "example.com"


def test_a_deleted_organization_has_no_domains_to_change(context, organization_id):
    organizations.delete(context, organization_id=organization_id, delete_directory=True)
    for operation in (register, deregister, make_default):
        with pytest.raises(OrganizationStateException):
            operation(context, organization_id, "example.com")


class Gateway:
    """What a gateway makes of logins: its replica follows the store, `who` looks again each time."""

    def __init__(self, store):
        self.store = store
        self.replica = Replica(store, lambda _: None)
        self.replica.load()

    def who(self, *logins):
        async def follow():
            self.replica.start(asyncio.get_running_loop())
            try:
                with self.store.begin() as transaction:
                    wanted = transaction.revision
                assert await self.replica.reach(wanted, 5)
            finally:
                await asyncio.to_thread(self.replica.stop)
                self.replica._stop.clear()

        asyncio.run(follow())
        identifier = Identifier(self.replica, None)
        return [identifier.identify(login) for login in logins]


def test_the_default_domain_says_whom_a_bare_login_means(context, closed_id):
    register(context, closed_id, "second.example")
    first = enable(context, closed_id, "smith", "alice@closed.example")
    second = enable(context, closed_id, "jones", "alice@second.example")
    gateway = Gateway(context.store)
    logins = ("alice", "CORP\\alice", "alice@closed.example", "smith")
    one, other = Identity(closed_id, first), Identity(closed_id, second)
    assert gateway.who(*logins) == [one, one, one, one]
    make_default(context, closed_id, "second.example")
    assert gateway.who(*logins) == [other, other, one, one]
    assert users.describe(context, organization_id=closed_id, user_id="alice").user_id == second


def test_an_open_directory_takes_up_bare_logins_in_the_default_domain(context, organization_id, alice):
    gateway = Gateway(context.store)
    make_default(context, organization_id, "example.net")
    address = "bob@example.net"
    (bob, still_alice, new) = gateway.who("bob", "alice", "alice@example.net")
    assert bob == Identity(organization_id, enrolled_user_id(organization_id, address), address)
    assert still_alice == Identity(organization_id, alice)  # her name, and her address in the former default domain
    assert new.address == "alice@example.net"
    taken_up = users.enroll(context, organization_id, address)
    assert (taken_up.name, taken_up.email, taken_up.user_id) == ("bob", address, bob.user_id)
    assert users.enroll(context, organization_id, "alice@example.net").name == "alice@example.net"


def test_a_registered_domain_lets_logins_in_and_a_deregistered_one_out(context, organization_id):
    gateway = Gateway(context.store)
    assert gateway.who("carol@example.org") == [None]
    register(context, organization_id, "example.org")
    (carol,) = gateway.who("carol@example.org")
    assert carol.address == "carol@example.org"
    deregister(context, organization_id, "example.org")
    assert gateway.who("carol@example.org") == [None]
