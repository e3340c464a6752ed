"""What leaves a node is decided by the audience of each field, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed import audience
from huying.common.records.registry import REGISTRY
from huying.wire.v1 import audience_pb2, calls_pb2, records_pb2
from tests.support.places import DATA

GOLDEN = DATA / "slots.txt"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
events = st.builds(
    records_pb2.Event,
    category=texts,
    descriptor=texts,
    grid=texts,
    status=st.sampled_from([0, 1, 2, 3]),
    reported_micros=st.integers(0, 2**63 - 1),
    description_public=texts,
    address=texts,
    description_full=texts,
    reporter_name=texts,
    reporter_phone=texts,
)
steps = st.one_of(
    st.builds(
        calls_pb2.CallStep,
        call=st.binary(max_size=16),
        dispatch=st.builds(calls_pb2.Dispatch, department=texts, co_handlers=st.lists(texts)),
        internal_note=texts,
    ),
    st.builds(calls_pb2.CallStep, confirm=st.builds(calls_pb2.Confirm, comment=texts)),
)
levels = st.integers(1, 5)


def slot_table():
    """Every type at every level that may write it: slot and its fields."""
    lines = []
    for spec in REGISTRY.values():
        descriptor: Any = spec.message_class.DESCRIPTOR  # two names of one class in the stubs
        for level in sorted(spec.levels):
            for slot, fields in audience.fields_by_slot(descriptor, level).items():
                lines.append(f"{descriptor.name} {level} {slot:#04x} {' '.join(fields)}")
    return "\n".join(lines) + "\n"


def test_the_slots_on_the_wire_are_those_that_are_pinned():
    """A slot that moves discloses a field to another audience, or breaks every older reader.

    Where a change is meant, write the table below into tests/data/slots.txt and say why.
    """
    table = slot_table()
    assert table == GOLDEN.read_text(encoding="utf-8"), table


@given(st.one_of(events, steps), levels)
def test_what_is_split_merges_to_the_same_message(message, level):
    """Splitting must neither lose nor double a field."""
    parts = audience.split(message, level)
    assert audience.merge(type(message), [body for _, body in parts]) == message


@given(st.one_of(events, steps), levels)
def test_a_type_always_writes_the_same_slots_in_ascending_order(message, level):
    """The presence of a slot must tell nothing: to have a health note is health data."""
    slots = [slot for slot, _ in audience.split(message, level)]
    empty = [slot for slot, _ in audience.split(type(message)(), level)]
    assert slots == empty == sorted(set(slots))
    assert bytes(slots) == audience.plan(message.DESCRIPTOR, level).slots


@given(events)
def test_no_compartment_holds_a_field_of_another(event):
    """One field in the wrong body is a leak that the signature then makes permanent."""
    for slot, body in audience.split(event, 5):
        shown = {field.name for field, _ in records_pb2.Event.FromString(body).ListFields()}
        assert shown <= set(audience.fields_by_slot(records_pb2.Event.DESCRIPTOR, 5)[slot])


@given(events)
def test_the_county_sees_no_field_that_is_declared_for_the_village(event):
    """The promise in one sentence, on the level bits themselves."""
    county = [body for slot, body in audience.split(event, 5) if slot & 7 <= 3]
    seen = audience.merge(records_pb2.Event, county)
    assert seen.category == event.category
    for name in ("address", "description_full", "reporter_name", "reporter_phone"):
        assert not getattr(seen, name)


def test_a_sensitive_field_has_a_compartment_of_its_own():
    """Otherwise it could not be disclosed or erased by itself."""
    slot = audience.slot_of(records_pb2.Resident.DESCRIPTOR, 5, "health")
    assert audience.fields_by_slot(records_pb2.Resident.DESCRIPTOR, 5)[slot] == ("health",)


def test_a_field_is_not_hidden_from_its_own_origin():
    """A town's village-only field would otherwise have a level below every reader."""
    assert audience.slot_of(calls_pb2.CallStep.DESCRIPTOR, 4, "internal_note") & 7 == 4


def test_an_unknown_field_is_refused_where_it_is_written():
    """It declares no audience, so no compartment can take it; dropping it would be silent."""
    event = records_pb2.Event.FromString(b"\xf8\x3f\x01")
    with pytest.raises(HuyingError, match="unknown field 1023") as caught:
        audience.split(event, 5)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_an_unknown_field_inside_a_step_is_refused_too():
    """A nested message travels whole, so its unknown fields would travel unseen."""
    step = calls_pb2.CallStep(answer=calls_pb2.Answer.FromString(b"\xf8\x3f\x01"))
    with pytest.raises(HuyingError, match="Answer has the unknown field"):
        audience.split(step, 3)


def test_an_unknown_field_name_is_named():
    """Withheld fields are looked up by name from the command line."""
    with pytest.raises(HuyingError, match="no field 'phne'"):
        audience.slot_of(records_pb2.Event.DESCRIPTOR, 5, "phne")


def build(name, fields, oneof=False):
    """A message type of string fields with the given (level, addressed, alone) or None."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="test", syntax="proto3")
    file.dependency.append("huying/wire/v1/audience.proto")
    message = file.message_type.add(name=name)
    if oneof:
        message.oneof_decl.add(name="choice")
    for number, declared in enumerate(fields, 1):
        field = message.field.add(name=f"f{number}", number=number, type=9, label=1)
        if oneof:
            field.oneof_index = 0
        if declared is not None:
            level, addressed, alone = declared
            field.options.Extensions[audience_pb2.audience].CopyFrom(
                audience_pb2.Audience(level=level, addressed=addressed, alone=alone)
            )
    pool = descriptor_pool.DescriptorPool()
    for known in (descriptor_pb2.DESCRIPTOR, audience_pb2.DESCRIPTOR):
        pool.AddSerializedFile(known.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMessageTypeByName(f"test.{name}")


@pytest.mark.parametrize(
    ("name", "fields", "oneof", "reason"),
    [
        ("Bare", [(3, False, False), None], False, "declares no audience"),
        ("Level", [(0, False, False)], False, "declares no level"),
        ("Split", [(3, False, False), (5, False, False)], True, "different audiences"),
        ("Alone", [(5, False, True)] * 16, False, "over 15 fields alone"),
        ("Many", [(5, False, True)] * 8 + [(4, False, True)] * 8, False, "over 15 compartments"),
    ],
)
def test_a_type_without_a_usable_audience_is_refused(name, fields, oneof, reason):
    """Nothing is readable by default: the program does not start with such a type."""
    with pytest.raises(TypeError, match=reason):
        audience.plan(build(name, fields, oneof), 5)


def test_the_members_of_a_oneof_marked_alone_share_one_compartment():
    """A oneof has one audience as a whole; two compartments could contradict each other."""
    plan = audience.plan(build("Choice", [(5, True, True)] * 2, oneof=True), 5)
    assert plan.slots == bytes([0x80 | 1 << 3 | 5])
