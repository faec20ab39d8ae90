"""The AsyncAPI document, the schemas, the specification and the code say the same."""

import json
import re
from typing import get_args

import jsonschema
import pytest
import yaml

from device.protocol import messages, refusals, topics
from device.protocol.cell import CELL_BYTES
from device.protocol.event import encode_event
from device.protocol.messages import Message
from device.protocol.order import LONGEST_VALIDITY_S
from tests.conftest import ROOT
from tools.setup.pages import MESSAGES
from tools.setup.vectors.examples import examples

DOCS = ROOT / "docs"
API = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))
TEXT = (DOCS / "protocol.md").read_text("utf-8")
BY_NAME = {
    re.sub(r"(?<!^)([A-Z])", r"-\1", kind.__name__).lower(): kind for kind in get_args(Message)
}
"""Every message that there is, as the documents call it."""


def references(part, path=()):
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield path, value
            else:
                yield from references(value, (*path, key))
    elif isinstance(part, list):
        for item in part:
            yield from references(item, path)


def resolved(reference):
    """Return what a reference names. Raises when it names nothing."""
    file, _, pointer = reference.partition("#")
    part = json.loads((DOCS / file).read_text("utf-8")) if file else API
    for key in filter(None, pointer.split("/")):
        part = part[key]
    return part


def messages_of(channel):
    return [resolved(one["$ref"]) for one in API["channels"][channel]["messages"].values()]


def test_every_reference_leads_somewhere():
    found = list(references(API))
    assert len(found) > 40
    for path, reference in found:
        assert resolved(reference), path


def test_the_topics_are_those_of_the_code():
    given = topics.Topics("s1", "d1")
    for kind in topics.KINDS:
        channel = API["channels"][kind]
        assert channel["address"].format(site="s1", device="d1", part=1) == given.of(kind)
        part = {"part"} if kind == "bundle" else set()
        assert set(channel["parameters"]) == {"site", "device"} | part
    emitted = {
        channel["address"] for name, channel in API["channels"].items() if name not in topics.KINDS
    }
    assert emitted == {
        "passerby-desk/v1/{site}/{device}/" + kind for kind in ("alert", "status", "record")
    }


@pytest.mark.parametrize("kind", topics.KINDS)
def test_a_channel_carries_what_the_code_lets_it_carry(kind):
    names = {one["name"] for one in messages_of(kind)}
    carried = {name for name, one in messages._TYPES.items() if one in messages._CARRIES[kind]}
    assert names == carried


@pytest.mark.parametrize("name", BY_NAME)
def test_every_message_is_described(name):
    message = API["components"]["messages"][name]
    assert messages._TYPES[message["name"]] is BY_NAME[name]
    assert message["x-event"]["$ref"] == f"./schemas/{name}.schema.json"
    cell = resolved(message["payload"]["$ref"])
    assert cell["minLength"] == cell["maxLength"] == CELL_BYTES
    content_type = message["bindings"]["mqtt"]["contentType"]
    assert content_type == message["contentType"] == cell["contentMediaType"]
    assert message["name"] in TEXT
    assert f"schemas/{name}.schema.json" in TEXT


def test_there_is_no_message_without_a_schema():
    assert {kind for kind, _ in MESSAGES.values()} == set(get_args(Message))
    assert set(MESSAGES) == set(BY_NAME)


@pytest.mark.parametrize("kind", ["alert", "status", "record"])
def test_what_the_gateway_emits_is_the_plain_event(kind):
    (message,) = messages_of("emitted" + kind.title())
    assert message["contentType"] == "application/cloudevents+json"
    schema = resolved(message["payload"]["$ref"])
    event = json.loads(encode_event(examples()[kind].message))
    jsonschema.validate(event, schema, jsonschema.Draft202012Validator)


def test_only_status_and_bundles_are_retained_and_only_what_is_on_command_expires():
    for name, operation in API["operations"].items():
        binding = operation["bindings"]["mqtt"]
        assert binding["qos"] == 1
        assert binding["retain"] == name.endswith(("Status", "Bundle"))
        assert ("messageExpiryInterval" in binding) == name.endswith(("Order", "Unlock"))
        channel = resolved(operation["channel"]["$ref"])
        assert channel in API["channels"].values()
    expiry = API["operations"]["deviceReceivesOrder"]["bindings"]["mqtt"]["messageExpiryInterval"]
    assert expiry["maximum"] == LONGEST_VALIDITY_S


def test_the_will_is_the_status():
    (server,) = (one for one in API["servers"].values() if one["protocol"] == "secure-mqtt")
    will = server["bindings"]["mqtt"]["lastWill"]
    assert will["topic"] == API["channels"]["status"]["address"]
    assert will["retain"]


def test_the_specification_names_every_refusal():
    names = re.findall(
        r"^class (\w+Error)", (ROOT / "device/protocol/refusals.py").read_text(), re.MULTILINE
    )
    assert len(names) >= 9
    for name in [*names, "DamagedLetterError"]:
        assert f"`{name}`" in TEXT, name
    assert refusals.WrongTopicError.__doc__


def test_the_specification_leads_to_files_that_are_there():
    for page in (DOCS / "protocol.md", DOCS / "vectors/README.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), target


def test_the_vectors_are_counted_and_small():
    count = len(json.loads((DOCS / "vectors/refused.json").read_text("utf-8"))["vectors"])
    assert f"{count} cells that must be refused" in (DOCS / "vectors/README.md").read_text("utf-8")
    assert sum(file.stat().st_size for file in (DOCS / "vectors").iterdir()) < 2_100_000
