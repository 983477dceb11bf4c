import threading

import pytest

from gatepost.operations import mobile_device_access_rules
from gatepost.operations.client_tokens import once
from gatepost.operations.errors import InvalidParameterException, LimitExceededException


def test_the_act_runs_once_for_a_token(context):
    ran = []

    def act(_):
        ran.append(1)
        return f"answer {len(ran)}"

    assert once(context, "Operation", "token", {"a": 1, "b": [2]}, act) == "answer 1"
    assert once(context, "Operation", "token", {"b": [2], "a": 1}, act) == "answer 1"
    assert once(context, "Operation", "other", {"a": 1, "b": [2]}, act) == "answer 2"
    assert once(context, "Other", "token", {"a": 1, "b": [2]}, act) == "answer 3"
    assert once(context, "Operation", None, {"a": 1, "b": [2]}, act) == "answer 4"


def test_other_parameters_are_refused(context):
    once(context, "Operation", "token", {"a": 1}, lambda _: "answer")
    with pytest.raises(InvalidParameterException, match="token was used before with other parameters"):
        once(context, "Operation", "token", {"a": 2}, lambda _: "answer")


def test_a_refused_act_leaves_no_token(context, organization_id):
    def refuse(_):
        raise LimitExceededException

    with pytest.raises(LimitExceededException):
        once(context, "Operation", "token", {}, refuse)
    assert once(context, "Operation", "token", {}, lambda _: "later") == "later"


def test_eight_callers_with_one_token_make_one_rule(context, organization_id):
    answers, start = [], threading.Barrier(8)

    def call():
        start.wait()
        answers.append(
            mobile_device_access_rules.create(
                context, organization_id=organization_id, name="one", effect="DENY", client_token="shared"
            )
        )

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert len(mobile_device_access_rules.list(context, organization_id=organization_id)) == 2


def test_two_organizations_may_use_the_same_token(context):
    for organization_id in ("m-1", "m-2"):
        parameters = {"organization_id": organization_id, "a": organization_id}
        for _ in range(2):
            answer = once(context, "Operation", "token", parameters, lambda _, answer=organization_id: answer)
            assert answer == organization_id
