"""Records as JSON and as fields of a command: there and back, and refused by the field's name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.records.registry import REGISTRY
from huying.node.cli.plain import from_plain, parse_fields, to_plain
from huying.wire.v1 import calls_pb2, records_pb2


def scalar(field: Any) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values if value.number])
    if field.type == field.TYPE_BYTES:
        return st.binary(min_size=1, max_size=20)
    if field.type == field.TYPE_BOOL:
        return st.just(True)
    if field.type == field.TYPE_STRING:
        return st.text(min_size=1, max_size=20)
    bits = 32 if field.type == field.TYPE_UINT32 else 64
    return st.integers(1, 2**bits - 1)


def messages(descriptor: Any, factory: Any) -> st.SearchStrategy[Any]:
    plain = [f for f in descriptor.fields if f.message_type is None and not f.is_repeated]
    return st.fixed_dictionaries({}, optional={f.name: scalar(f) for f in plain}).map(
        lambda values: factory(**values)
    )


@given(st.data())
def test_records_survive_the_way_to_json_and_back(data: st.DataObject) -> None:
    """What `record get` prints, `record put --json-file` takes."""
    spec = data.draw(st.sampled_from(list(REGISTRY.values())))
    message = data.draw(messages(spec.message_class.DESCRIPTOR, spec.message_class))
    through = json.loads(json.dumps(to_plain(message)))
    assert from_plain(spec.message_class, through) == message


def test_a_nested_message_survives_too() -> None:
    """Steps of a call are nested; a list inside one as well."""
    step = calls_pb2.CallStep(
        call=bytes(16), dispatch=calls_pb2.Dispatch(department="a", co_handlers=["b", "c"])
    )
    assert from_plain(calls_pb2.CallStep, to_plain(step)) == step
    pairs = ["dispatch.department=a", "dispatch.co_handlers=b", "dispatch.co_handlers=c"]
    fields = parse_fields(calls_pb2.CallStep, pairs)
    assert from_plain(calls_pb2.CallStep, fields).dispatch == step.dispatch


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"nonsense": 1}, "nonsense: no such field"),
        ({"category": 1}, "category: a text"),
        ({"category": "\ud800"}, "category: a text in Unicode"),
        ({"status": "nonsense"}, "status: one of reported, settled, called"),
        ({"status": True}, "status: one of"),
        ({"reported_micros": -1}, "reported_micros: a whole number"),
        ({"reported_micros": 1.5}, "reported_micros: a whole number"),
        ({"reported_micros": True}, "reported_micros: a whole number"),
        ({"reported_micros": 2**64}, "reported_micros: a whole number"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_the_field_named(
    plain: dict[str, Any], said: str
) -> None:
    """`int()` and friends accept junk; a record must not be what nobody wrote."""
    with pytest.raises(HuyingError) as caught:
        from_plain(records_pb2.Event, plain)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.detail.startswith(said)


@pytest.mark.parametrize(
    "pair", ["category", "reported_micros=1_000", "reported_micros=٣", "a.b=1"]
)
def test_a_field_on_the_command_line_that_does_not_fit_is_refused(pair: str) -> None:
    """Underscores and foreign digits pass int(); they are not what an operator means."""
    with pytest.raises(HuyingError):
        from_plain(records_pb2.Event, parse_fields(records_pb2.Event, [pair]))


def test_a_field_given_twice_is_refused() -> None:
    """The last one would win, silently."""
    with pytest.raises(HuyingError, match="given once"):
        parse_fields(records_pb2.Event, ["category=a", "category=b"])
