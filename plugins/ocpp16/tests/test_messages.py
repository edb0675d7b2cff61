"""The generated messages say what the OCA schemas say: the same frames accepted, the faults among theirs."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from arthexis_ocpp16 import messages
from arthexis_ocpp16.decimals import check_decimals
from arthexis_ocpp16.messages import MESSAGES
from arthexis_ocpp16.protocol import ERRORS, OCPP16
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from arthexis.ocppj.repair import classify

ROOM = Path(__file__).parents[1]

CODES = {
    "required": "OccurenceConstraintViolation",
    "minItems": "OccurenceConstraintViolation",
    "additionalProperties": "FormationViolation",
    "type": "TypeConstraintViolation",
    "enum": "PropertyConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "multipleOf": "PropertyConstraintViolation",
}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_ocpp16_messages", ROOM / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


GENERATE = generator()


def schema(name: str) -> dict[str, Any]:
    """A schema with exact decimals, as 16.1 is a multiple of 0.1 but not in floats."""
    text = (GENERATE.schema_folder() / f"{name}.json").read_text(encoding="utf-8-sig")
    loaded: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return loaded


SIDES = {
    name: (struct, schema(name))
    for message in MESSAGES
    for name, struct in ((message.action, message.request), (f"{message.action}Response", message.response))
}
VALIDATORS = {name: Draft4Validator(rules) for name, (_, rules) in SIDES.items()}


def numbers(rules: dict[str, Any]) -> st.SearchStrategy[Any]:
    if rules["type"] == "integer":
        return st.integers(-(2**63), 2**63 - 1)
    return st.integers(-(10**6), 10**6).map(lambda tenths: tenths / 10) | st.integers(-1000, 1000)


def texts(rules: dict[str, Any]) -> st.SearchStrategy[str]:
    if "enum" in rules:
        return st.sampled_from(rules["enum"])
    characters = st.characters(codec="utf-8", exclude_characters="\0")
    return st.text(characters, max_size=min(rules.get("maxLength", 60), 60))


def instances(rules: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema accepts."""
    kind = rules["type"]
    if kind == "object":
        members = {name: instances(part) for name, part in rules.get("properties", {}).items()}
        required = {name: members[name] for name in rules.get("required", [])}
        optional = {name: members[name] for name in members if name not in required}
        return st.fixed_dictionaries(required, optional=optional)
    if kind == "array":
        return st.lists(instances(rules["items"]), min_size=rules.get("minItems", 0), max_size=3)
    if kind == "string":
        return texts(rules)
    return st.booleans() if kind == "boolean" else numbers(rules)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a value."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([1.5, 2.0, 16.1, 16.15, -0.05, "", "Occupied", "accepted", "5", [], {}, [{}], {"a": 1}]),
    st.integers(20, 520).map(lambda length: "x" * length),
).map(copy.deepcopy)


@st.composite
def mutated(draw: st.DrawFn, rules: dict[str, Any]) -> Any:
    """A valid frame with none to three faults."""
    frame = copy.deepcopy(draw(instances(rules)))
    for _ in range(draw(st.integers(0, 3))):
        what = draw(st.sampled_from(["drop", "replace", "add", "whole"]))
        spots = list(places(frame))
        objects = [frame, *(holder[key] for holder, key in spots)]
        objects = [one for one in objects if isinstance(one, dict)]
        if what == "whole" and draw(st.integers(0, 9)) == 0:
            return draw(ODD)
        if what == "add" and objects:
            draw(st.sampled_from(objects))[draw(st.sampled_from(["vendorFoo", "id_tag", "IdTag", ""]))] = draw(ODD)
        elif spots and what in ("drop", "replace"):
            holder, key = draw(st.sampled_from(spots))
            if what == "replace":
                holder[key] = draw(ODD)
            elif isinstance(holder, list) or key in holder:
                del holder[key]
    return frame


def our_fault(struct: type[msgspec.Struct], text: bytes) -> str | None:
    """Our error code for a payload; None if it is accepted."""
    try:
        value = msgspec.json.decode(text, type=struct)
    except msgspec.ValidationError as error:
        return ERRORS[classify(error)]
    return "PropertyConstraintViolation" if check_decimals(value) else None


def compare(name: str, struct: type[msgspec.Struct], frame: Any) -> None:
    """Both accept the frame, or both refuse it and our code is among theirs."""
    text = json.dumps(frame).encode()
    theirs = {CODES[e.validator] for e in VALIDATORS[name].iter_errors(json.loads(text, parse_float=Decimal))}
    ours = our_fault(struct, text)
    assert (ours is None) == (not theirs), (text, ours, theirs)
    assert ours is None or ours in theirs, (text, ours, theirs)


@pytest.mark.parametrize("name", sorted(SIDES))
def test_accepts_what_draft4_accepts_and_names_one_of_its_faults(name: str) -> None:
    struct, rules = SIDES[name]

    @settings(max_examples=60, deadline=None)
    @given(frame=mutated(rules))
    def agree(frame: Any) -> None:
        compare(name, struct, frame)

    agree()


def full(rules: dict[str, Any]) -> Any:
    """A valid frame with every member that the schema knows."""
    kind = rules["type"]
    if kind == "object":
        return {name: full(part) for name, part in rules.get("properties", {}).items()}
    if kind == "array":
        return [full(rules["items"])]
    if kind == "string":
        return rules["enum"][-1] if "enum" in rules else "x" * rules.get("maxLength", 9)
    return {"boolean": True, "integer": 7, "number": 16.1}[kind]


def faults(rules: dict[str, Any]) -> Iterator[Any]:
    """The full frame, and every frame with exactly one thing changed in it."""
    yield full(rules)
    for place, (holder, key) in enumerate(places(full(rules))):
        values = [None, True, 1, 1.5, 2.0, 16.15, "", "Nonsense", [], {}]
        if isinstance(holder[key], str):
            values += [holder[key] + "x", holder[key].upper(), *sorted(enumerated().get(key, ()))]
        for value in values:
            yield changed(rules, place, value)
        yield changed(rules, place, KeyError)
    yield {**full(rules), "vendorFoo": 1}


def changed(rules: dict[str, Any], place: int, value: Any) -> Any:
    """The full frame with another value at the place of this number; KeyError takes it out."""
    frame = full(rules)
    holder, key = list(places(frame))[place]
    if value is KeyError:
        del holder[key]
    else:
        holder[key] = value
    return frame


@pytest.mark.parametrize("name", sorted(SIDES))
def test_every_single_fault_is_judged_as_draft4_does(name: str) -> None:
    struct, rules = SIDES[name]
    for frame in faults(rules):
        compare(name, struct, frame)


@pytest.mark.parametrize("name", sorted(SIDES))
def test_valid_frames_come_back_member_for_member_in_the_order_of_the_schema(name: str) -> None:
    struct, rules = SIDES[name]

    @settings(max_examples=15, deadline=None)
    @given(frame=instances(rules))
    def same(frame: Any) -> None:
        value = msgspec.json.decode(json.dumps(frame).encode(), type=struct)
        assert json.loads(msgspec.json.encode(value)) == frame

    same()
    assert struct.__struct_encode_fields__ == tuple(rules.get("properties", {}))


def test_every_nested_member_has_the_name_of_the_schema() -> None:
    seen = 0
    for struct, rules in SIDES.values():
        for found, wanted in walk(msgspec.inspect.type_info(struct), rules):
            assert found == wanted
            seen += 1
    assert seen > 60


def walk(kind: Any, rules: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    if isinstance(kind, msgspec.inspect.StructType):
        yield tuple(f.encode_name for f in kind.fields), tuple(rules.get("properties", {}))
        for field in kind.fields:
            yield from walk(field.type, rules["properties"][field.encode_name])
    elif isinstance(kind, msgspec.inspect.VarTupleType):
        yield from walk(kind.item_type, rules["items"])


def test_the_module_is_what_the_generator_writes() -> None:
    up_to_date = Path(messages.__file__).read_text(encoding="utf-8") == GENERATE.generated()
    assert up_to_date, "run python plugins/ocpp16/generate.py"


def test_check_tells_when_the_module_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(GENERATE, "TARGET", tmp_path / "messages.py")
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    assert GENERATE.main() == 1
    assert "out of date" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["generate.py"])
    assert GENERATE.main() == 0
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    assert GENERATE.main() == 0
    GENERATE.TARGET.write_text("x", encoding="utf-8")
    assert GENERATE.main() == 1


def test_all_28_actions_have_both_messages() -> None:
    files = {path.stem for path in GENERATE.schema_folder().glob("*.json")}
    assert len(MESSAGES) == 28
    assert {m.action for m in MESSAGES} <= files
    assert [m.action for m in MESSAGES] == sorted(m.action for m in MESSAGES)
    for message in MESSAGES:
        assert (message.request.__name__, message.response.__name__) == (message.action, f"{message.action}Answer")


def test_the_draft4_side_of_the_comparison_sees_faults() -> None:
    """The comparison could not fail if the validators accepted everything."""
    for name, (_, rules) in SIDES.items():
        assert list(VALIDATORS[name].iter_errors({"vendorFoo": 1})), name
        for member in rules.get("required", []):
            assert any(member in e.message for e in VALIDATORS[name].iter_errors({})), name


def test_payloads_are_frozen_compact_and_leave_absent_members_out() -> None:
    start = messages.StartTransaction(connector_id=1, id_tag="A", meter_start=0, timestamp="")
    assert msgspec.json.encode(start) == b'{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":""}'
    with pytest.raises(AttributeError):
        start.id_tag = "B"  # type: ignore[misc]
    for struct, _ in SIDES.values():
        config = struct.__struct_config__
        assert config.forbid_unknown_fields
        assert config.frozen
        assert not config.gc


def test_meter_values_of_a_stop_are_meter_values_too() -> None:
    data = messages.TransactionData("", (messages.TransactionSample("1", unit="kWh"),))
    assert isinstance(data, messages.MeterValue)
    assert isinstance(data.sampled_value[0], messages.SampledValue)


def schedule(*limits: float) -> messages.SetChargingProfile:
    periods = tuple(messages.ChargingSchedulePeriod(place, limit) for place, limit in enumerate(limits))
    profile = messages.ChargingProfile(
        charging_profile_id=1,
        stack_level=0,
        charging_profile_purpose="TxProfile",
        charging_profile_kind="Absolute",
        charging_schedule=messages.ChargingSchedule(
            charging_rate_unit="A", charging_schedule_period=periods, min_charging_rate=0.3
        ),
    )
    return messages.SetChargingProfile(1, profile)


def test_one_decimal_is_good_and_two_are_told_with_their_path() -> None:
    assert check_decimals(schedule(16.1, 0.3, 32, 6.0, -0.1)) == ()
    assert check_decimals(schedule(16.1, 16.15, 6.001)) == (
        "csChargingProfiles.chargingSchedule.chargingSchedulePeriod.1.limit",
        "csChargingProfiles.chargingSchedule.chargingSchedulePeriod.2.limit",
    )


@given(st.integers(-(10**9), 10**9))
def test_every_tenth_is_good(tenths: int) -> None:
    assert check_decimals(schedule(tenths / 10)) == ()


def test_integers_too_large_for_any_table_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="transactionId"):
        msgspec.json.decode(b'{"transactionId":9223372036854775808}', type=messages.RemoteStopTransaction)


def test_the_protocol_names_every_fault_and_only_members_that_exist() -> None:
    assert OCPP16.subprotocol == "ocpp1.6"
    assert set(OCPP16.errors) == set(type(next(iter(OCPP16.errors))))
    assert OCPP16.unrefusable <= {m.action for m in MESSAGES}
    members = enumerated()
    for table in (OCPP16.aliases, {wire: {"": meant} for wire, meant in OCPP16.fallbacks.items()}):
        for wire, meanings in table.items():
            assert set(meanings.values()) <= members[wire], wire


@lru_cache
def enumerated() -> dict[str, set[str]]:
    """All members of all enumerations by wire name, read from the schemas."""
    found: dict[str, set[str]] = {}
    for _, rules in SIDES.values():
        for holder, key in places(rules):
            if isinstance(holder[key], dict) and "enum" in holder[key]:
                found.setdefault(key, set()).update(holder[key]["enum"])
    return found


def test_setup_cfg_has_an_entry_point_for_each_action_that_stations_call() -> None:
    text = (ROOM / "setup.cfg").read_text(encoding="utf-8")
    points = dict(re.findall(r"^    (ocpp16\.\w+) = (arthexis_ocpp16\.\w+)$", text, re.MULTILINE))
    wanted = [action for action, section in GENERATE.SECTIONS.items() if section.startswith("4.")]
    assert {f"ocpp16.{GENERATE.snake(action)}" for action in wanted} | {"ocpp16.protocol"} <= points.keys()
    assert all(target == f"arthexis_{name}" for name, target in points.items())
