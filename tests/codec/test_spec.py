"""Every type of the codec against the OASIS XML files (tests/data/spec), in both directions."""

from __future__ import annotations

import dataclasses
import enum
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from uamqp.codec import (
    COMPOSITES_BY_CODE,
    COMPOSITES_BY_NAME,
    PERFORMATIVES,
    ROLE_RECEIVER,
    ROLE_SENDER,
    SASL_FRAMES,
    SECTION_NAMES,
    AmqpError,
    Composite,
    LinkError,
    ReceiverSettleMode,
    SaslCode,
    SenderSettleMode,
    SessionError,
    StdDistMode,
    TerminusDurability,
    TerminusExpiryPolicy,
    TransactionError,
    TxnCapability,
    definitions,
)
from uamqp.codec.composites import _HIGHEST_CHOICE, REQUIRED, RESTRICTED
from uamqp.codec.decode import _CONSTRUCTORS
from uamqp.codec.encode import _ARRAY_CODES
from uamqp.codec.sections import _CONSTRUCTORS as SECTION_CONSTRUCTORS
from uamqp.codec.values import ELEMENT_TYPES, Symbol

FILES = sorted((Path(__file__).parent.parent / "data" / "spec").glob("*.xml"))
NS = "{http://www.amqp.org/schema/amqp.xsd}"

TYPES = {node.attrib["name"]: node for file in FILES for node in ElementTree.parse(file).getroot().iter(f"{NS}type")}
PRIMITIVES = [node for node in TYPES.values() if node.attrib["class"] == "primitive"]
COMPOSITES = [node for node in TYPES.values() if node.attrib["class"] == "composite"]
RESTRICTIONS = [node for node in TYPES.values() if node.attrib["class"] == "restricted"]

# Restricted types with choices, and where the codec has these.
CHOICES: dict[str, Any] = {
    "role": {"SENDER": ROLE_SENDER, "RECEIVER": ROLE_RECEIVER},
    "sender-settle-mode": SenderSettleMode,
    "receiver-settle-mode": ReceiverSettleMode,
    "amqp-error": AmqpError,
    "connection-error": definitions.ConnectionError,
    "session-error": SessionError,
    "link-error": LinkError,
    "terminus-durability": TerminusDurability,
    "terminus-expiry-policy": TerminusExpiryPolicy,
    "std-dist-mode": StdDistMode,
    "txn-capability": TxnCapability,
    "transaction-error": TransactionError,
    "sasl-code": SaslCode,
}

# What fields of type "*" may require; composites looks at these names.
REQUIREMENTS = {"source", "target", "delivery-state", "outcome", "address", "message-id", "txn-id", "global-tx-id"}


def primitive(name: str) -> str:
    while TYPES[name].attrib["class"] == "restricted":
        name = TYPES[name].attrib["source"]
        if name == "*":
            break
    return name


def code_of(node: ElementTree.Element) -> int:
    descriptor = node.find(f"{NS}descriptor")
    assert descriptor is not None
    high, low = descriptor.attrib["code"].split(":")
    return int(high, 16) << 32 | int(low, 16)


def name_of(node: ElementTree.Element) -> str:
    descriptor = node.find(f"{NS}descriptor")
    assert descriptor is not None
    return descriptor.attrib["name"]


def meaning(type_name: str, text: str) -> Any:
    """A default or choice of a type as the Python value it means."""
    for choice in TYPES[type_name].iter(f"{NS}choice"):
        if choice.attrib["name"] == text:
            text = choice.attrib["value"]
    base = primitive(type_name)
    if base == "boolean":
        return {"true": True, "false": False}[text]
    return Symbol(text) if base == "symbol" else int(text)


def test_the_files_are_there() -> None:
    assert len(FILES) == 6
    assert len(PRIMITIVES) == 24
    assert len(COMPOSITES) == 33


@pytest.mark.parametrize("node", COMPOSITES, ids=lambda node: node.attrib["name"])
def test_composite(node: ElementTree.Element) -> None:
    cls = COMPOSITES_BY_CODE[code_of(node)]
    assert cls.__name__ == "".join(word.capitalize() for word in node.attrib["name"].split("-"))
    assert code_of(node) == cls.DESCRIPTOR
    assert name_of(node) == cls.NAME
    assert COMPOSITES_BY_NAME[cls.NAME] is cls
    assert node.attrib["source"] == "list"
    provides = tuple(word.strip() for word in node.attrib.get("provides", "").split(",") if word)
    # Error provides nothing in the XML: its fields are of type "error", which stands for "requires error" here.
    assert provides == (() if node.attrib["name"] == "error" else cls.PROVIDES)


def test_no_composite_beyond_the_specification() -> None:
    codes = {code_of(node) for node in COMPOSITES}
    assert set(COMPOSITES_BY_CODE) == codes
    assert {cls.DESCRIPTOR for cls in COMPOSITES_BY_NAME.values()} == codes
    # By name: dataclass(slots=True) makes each class anew, and the first one may still be there.
    names = {cls.__name__ for cls in Composite.__subclasses__()}
    assert names == {cls.__name__ for cls in COMPOSITES_BY_CODE.values()}


@pytest.mark.parametrize("node", COMPOSITES, ids=lambda node: node.attrib["name"])
def test_fields(node: ElementTree.Element) -> None:
    cls = COMPOSITES_BY_CODE[code_of(node)]
    in_python: list[dataclasses.Field] = list(dataclasses.fields(cls))  # type: ignore[arg-type]
    in_xml = list(node.iter(f"{NS}field"))
    assert [field.name for field in cls.FIELDS] == [each.attrib["name"] for each in in_xml]
    assert [each.name for each in in_python] == [field.attribute for field in cls.FIELDS]
    for each, field, python in zip(in_xml, cls.FIELDS, in_python, strict=True):
        attributes = dict(each.attrib)
        assert attributes.pop("name") == field.name == field.attribute.replace("_", "-")
        assert attributes.pop("type") == field.type
        assert attributes.pop("mandatory", "false") == ("true" if field.mandatory else "false")
        assert attributes.pop("multiple", "false") == ("true" if field.multiple else "false")
        assert attributes.pop("requires", None) == field.requires
        if field.type == "*":
            assert field.requires in REQUIREMENTS
        default = attributes.pop("default", None)
        expected = () if field.multiple else None if default is None else meaning(field.type, default)
        assert field.default == expected
        assert type(field.default) is type(expected)
        if field.mandatory:
            assert python.default is dataclasses.MISSING or python.default is REQUIRED
        else:
            assert python.default == expected
            assert isinstance(python.default, bool) is isinstance(expected, bool)
        assert not attributes, "the XML says something that this test doesn't look at"


@pytest.mark.parametrize("node", COMPOSITES, ids=lambda node: node.attrib["name"])
def test_base_types_of_fields(node: ElementTree.Element) -> None:
    for field in COMPOSITES_BY_CODE[code_of(node)].FIELDS:
        if field.type not in ("*", "error"):
            assert field.base == primitive(field.type)
            bits = {"ubyte": 8, "ushort": 16, "uint": 32, "ulong": 64}.get(field.base)
            choices = [choice.attrib["value"] for choice in TYPES[field.type].iter(f"{NS}choice")]
            if bits is None:
                assert field.highest is None
            else:
                assert field.highest == (max(map(int, choices)) if choices else 2**bits - 1)


def test_restricted_types() -> None:
    used = {field.type for cls in COMPOSITES_BY_CODE.values() for field in cls.FIELDS}
    for name, source in RESTRICTED.items():
        assert TYPES[name].attrib["source"] == source
    known = set(RESTRICTED) | {node.attrib["name"] for node in PRIMITIVES} | {"error", "*"}
    assert used <= known
    # The rest are sections, choices, or say what a field of type "*" may hold.
    for node in RESTRICTIONS:
        name = node.attrib["name"]
        if name not in RESTRICTED:
            provides = node.attrib.get("provides")
            assert name in CHOICES or provides in {"section", "message-id", "address", "txn-id"}, name


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name: str) -> None:
    choices = CHOICES[name]
    if isinstance(choices, dict):
        ours = choices
    elif issubclass(choices, enum.Enum):
        ours = {member.name: member.value for member in choices}
    else:
        ours = {key: value for key, value in vars(choices).items() if not key.startswith("_")}
    theirs = {
        choice.attrib["name"].upper().replace("-", "_"): meaning(name, choice.attrib["value"])
        for choice in TYPES[name].iter(f"{NS}choice")
    }
    assert ours == theirs
    assert [type(value) for value in ours.values()] == [type(value) for value in theirs.values()]


def test_no_choices_are_missing() -> None:
    assert {node.attrib["name"] for node in RESTRICTIONS if node.find(f"{NS}choice") is not None} == set(CHOICES)
    closed = {name: len(choices) - 1 for name, choices in CHOICES.items() if primitive(name) in ("ubyte", "uint")}
    assert closed == _HIGHEST_CHOICE


def test_sections() -> None:
    in_xml = {node for node in TYPES.values() if node.attrib.get("provides") == "section"}
    assert {code_of(node): name_of(node) for node in in_xml} == SECTION_NAMES
    for node in in_xml:
        composite = node.attrib["class"] == "composite"
        base = "list" if composite else primitive(node.attrib["name"])
        allowed = SECTION_CONSTRUCTORS.get(code_of(node))
        if base == "*":
            assert allowed is None
        else:
            assert allowed is not None
            assert set(allowed) == {code for code, (name, _) in _CONSTRUCTORS.items() if name == base}
            assert (code_of(node) in COMPOSITES_BY_CODE) is composite


@pytest.mark.parametrize(("archetype", "registry"), [("frame", PERFORMATIVES), ("sasl-frame", SASL_FRAMES)])
def test_frames(archetype: str, registry: dict[int, type[Composite]]) -> None:
    codes = {code_of(node) for node in COMPOSITES if node.attrib.get("provides") == archetype}
    assert set(registry) == codes
    assert all(COMPOSITES_BY_CODE[code] is cls for code, cls in registry.items())


def test_primitive_encodings() -> None:
    in_xml = {}
    for node in PRIMITIVES:
        for encoding in node.iter(f"{NS}encoding"):
            width = int(encoding.attrib["width"])
            fixed = encoding.attrib["category"] == "fixed"
            in_xml[int(encoding.attrib["code"], 16)] = (
                node.attrib["name"],
                width if fixed else {1: -2, 4: -3}[width],
            )
    assert in_xml == _CONSTRUCTORS
    assert list(_ARRAY_CODES) == list(ELEMENT_TYPES)
    assert set(ELEMENT_TYPES) == {node.attrib["name"] for node in PRIMITIVES}
    # Arrays use the widest constructor of each type.
    for name, code in _ARRAY_CODES.items():
        same = [each for each in in_xml if in_xml[each][0] == name]
        assert code == max(same, key=lambda each: (in_xml[each][1] == -3, in_xml[each][1]))


def test_the_definitions_that_are_not_the_codecs() -> None:
    found = {node.attrib["name"] for file in FILES for node in ElementTree.parse(file).iter(f"{NS}definition")}
    ports_and_versions = {"PORT", "SECURE-PORT", "MAJOR", "MINOR", "REVISION", "MIN-MAX-FRAME-SIZE", "MESSAGE-FORMAT"}
    layers = {f"{layer}-{part}" for layer in ("TLS", "SASL") for part in ("MAJOR", "MINOR", "REVISION")}
    assert found == ports_and_versions | layers
