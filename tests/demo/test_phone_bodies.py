"""What a phone writes differs by version where the specification says so."""

from gatepost.demo import phone_bodies
from gatepost.wire.wbxml import Element


def names(element: Element) -> list[str]:
    return [child.name.split(":")[1] for child in element.children]


def test_a_collection_begins_with_its_class_up_to_12_1():
    for version, expected in (("12.1", ["Class", "SyncKey", "CollectionId"]), ("14.0", ["SyncKey", "CollectionId"])):
        body = phone_bodies.sync("5", "0", version, window=10)
        collection = body.find("AirSync:Collections", "AirSync:Collection")
        assert collection is not None
        assert names(collection) == expected


def test_a_sync_waits_in_minutes_up_to_12_1():
    assert phone_bodies.sync("5", "1", "12.1", window=9, wait=130).text_at("AirSync:Wait") == "2"
    assert phone_bodies.sync("5", "1", "12.1", window=9, wait=5).text_at("AirSync:Wait") == "1"
    assert phone_bodies.sync("5", "1", "14.1", window=9, wait=130).text_at("AirSync:HeartbeatInterval") == "130"


def test_device_information_leaves_out_what_the_phone_does_not_say():
    information = phone_bodies.device_information([("Model", "iPhone14,5"), ("OS", None), ("UserAgent", "")])
    assert information.find("Settings:Set") == Element(
        "Settings:Set", (Element("Settings:Model", text="iPhone14,5"), Element("Settings:UserAgent", text=""))
    )


def test_a_mail_may_be_opaque_or_have_next_to_nothing():
    body = Element("AirSyncBase:Body", (Element("AirSyncBase:Data", opaque="Grüße".encode()),))
    assert phone_bodies.read_mail("1:1", Element("AirSync:ApplicationData", (body,))) == phone_bodies.Mail(
        "1:1", "", "", "Grüße", read=False
    )
    assert phone_bodies.read_mail("1:1", Element("AirSync:ApplicationData")).body == ""


def test_folders_of_an_answer_without_changes():
    assert phone_bodies.read_folders(Element("FolderHierarchy:FolderSync")) == ()
