from gatepost.cli.mdm_reading import target_names
from gatepost.mdm.configuration import BridgeConfiguration, WorkMailConfiguration


def test_targets_have_the_names_under_which_they_are_remembered():
    workmail = WorkMailConfiguration("m-" + "0" * 32, "eu-west-1")
    assert target_names(BridgeConfiguration(())) == ("store",)
    assert target_names(BridgeConfiguration((), workmail=workmail)) == ("store", "workmail")
    assert target_names(BridgeConfiguration((), local=False, workmail=workmail)) == ("workmail",)


def test_a_source_that_is_not_there(installation, bridged):
    ran = bridged.run("mdm", "list", "--source", "jamf")
    assert (ran.code, "there is no source `jamf`: there are ws1" in ran.err) == (5, True)


def test_no_source_at_all(installation):
    ran = installation.run("mdm", "list")
    assert (ran.code, "no source is configured" in ran.err) == (3, True)
