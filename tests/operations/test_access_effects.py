import pytest

from gatepost.model import Effect
from gatepost.operations import (
    access_control_rules,
    impersonation_roles,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    users,
)
from gatepost.operations.access_effects import (
    MatchedRule,
    get_access_control_effect,
    get_mobile_device_access_effect,
)
from gatepost.operations.errors import EntityNotFoundException, InvalidParameterException, ResourceNotFoundException


def test_device_rules_that_produced_the_effect_are_named(context, organization_id):
    (default,) = mobile_device_access_rules.list(context, organization_id=organization_id)
    denied = mobile_device_access_rules.create(
        context, organization_id=organization_id, name="no android", effect="DENY", device_types=["android"]
    )
    phone = get_mobile_device_access_effect(context, organization_id=organization_id, device_type="iPhone")
    assert (phone.effect, phone.matched_rules) == (Effect.ALLOW, (MatchedRule(default.rule_id, "Default"),))
    android = get_mobile_device_access_effect(context, organization_id=organization_id, device_type="ANDROID14")
    assert (android.effect, android.matched_rules) == (Effect.DENY, (MatchedRule(denied, "no android"),))


def test_what_is_not_given_is_not_reported(context, organization_id):
    mobile_device_access_rules.create(
        context, organization_id=organization_id, name="silent", effect="DENY", device_models=["$NONE"]
    )
    ask = {"organization_id": organization_id, "device_type": "iPhone", "device_user_agent": "Apple"}
    assert get_mobile_device_access_effect(context, **ask).effect is Effect.DENY
    assert get_mobile_device_access_effect(context, **ask, device_model="iPhone10C1").effect is Effect.ALLOW


def test_without_rules_everything_is_denied(context, organization_id, alice):
    (default,) = mobile_device_access_rules.list(context, organization_id=organization_id)
    mobile_device_access_rules.delete(
        context, organization_id=organization_id, mobile_device_access_rule_id=default.rule_id
    )
    access_control_rules.delete(context, organization_id=organization_id, name="default")
    device = get_mobile_device_access_effect(context, organization_id=organization_id)
    assert (device.effect, device.matched_rules) == (Effect.DENY, ())
    access = get_access_control_effect(
        context, organization_id=organization_id, ip_address="192.0.2.1", action="IMAP", user_id=alice
    )
    assert (access.effect, access.matched_rules) == (Effect.DENY, ())


def test_overrides_play_no_part(context, organization_id, alice):
    mobile_device_access_overrides.put(
        context, organization_id=organization_id, user_id=alice, device_id="A1", effect="DENY"
    )
    assert get_mobile_device_access_effect(context, organization_id=organization_id).effect is Effect.ALLOW


def test_access_control_rules_look_at_address_protocol_and_user(context, organization_id, alice):
    access_control_rules.put(
        context,
        organization_id=organization_id,
        name="office",
        effect="DENY",
        description="mail programs at the office only",
        actions=["IMAP", "EWS"],
        not_ip_ranges=["192.0.2.0/24", "2001:db8::/32"],
    )

    def ask(ip_address, action, **more):
        found = get_access_control_effect(
            context,
            organization_id=organization_id,
            ip_address=ip_address,
            action=action,
            **(more or {"user_id": alice}),
        )
        return found.effect, found.matched_rules

    role = impersonation_roles.create(context, organization_id=organization_id, name="role", type="READ_ONLY", rules=())
    assert ask("192.0.2.9", "IMAP") == (Effect.ALLOW, ("default",))
    assert ask("198.51.100.1", "IMAP") == (Effect.DENY, ("office",))
    assert ask("198.51.100.1", "ActiveSync") == (Effect.ALLOW, ("default",))
    assert ask("2001:db8::1", "EWS", impersonation_role_id=role) == (Effect.ALLOW, ("default",))
    assert ask("2001:db9::1", "EWS", impersonation_role_id=role) == (Effect.DENY, ("office",))
    assert ask("::ffff:192.0.2.9", "IMAP", user_id="alice@example.com") == (Effect.ALLOW, ("default",))


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({}, InvalidParameterException),
        ({"user_id": "alice", "impersonation_role_id": "role"}, InvalidParameterException),
        ({"impersonation_role_id": "role"}, InvalidParameterException),
        ({"user_id": "alice", "action": "Telnet"}, InvalidParameterException),
        ({"user_id": "alice", "ip_address": "192.0.2"}, InvalidParameterException),
        ({"user_id": "alice", "ip_address": "192.0.2.0/24"}, InvalidParameterException),
        ({"user_id": "nobody"}, EntityNotFoundException),
        ({"impersonation_role_id": "role", "action": "EWS"}, ResourceNotFoundException),
    ],
)
def test_questions_that_mean_nothing_are_refused(context, organization_id, alice, parameters, refused):
    with pytest.raises(refused):
        get_access_control_effect(
            context, **{"organization_id": organization_id, "ip_address": "192.0.2.1", "action": "IMAP", **parameters}
        )


def test_a_deleted_user_is_nobody(context, organization_id):
    user_id = users.create(context, organization_id=organization_id, name="bob", display_name="Bob")
    ask = {"organization_id": organization_id, "ip_address": "192.0.2.1", "action": "IMAP", "user_id": user_id}
    assert get_access_control_effect(context, **ask).effect is Effect.ALLOW
    users.delete(context, organization_id=organization_id, user_id=user_id)
    with pytest.raises(EntityNotFoundException):
        get_access_control_effect(context, **ask)
