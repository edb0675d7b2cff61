"""How an object or an array is mended, by the shape of the Struct that it must become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec
from msgspec import inspect

from arthexis.contributions import Fault
from arthexis.ocppj.repair.choices import LONGEST, folded, meanings, nearest
from arthexis.ocppj.repair.faults import Unmendable
from arthexis.ocppj.repair.notes import Notes, below, echo
from arthexis.ocppj.repair.scalars import Anything, Choice, Flag, Real, Text, Whole
from arthexis.ocppj.repair.tokens import DEEPEST, lenient

MOST_WRAPPINGS: Final = 4
MOST_PARTS: Final = 64
MOST_LISTS: Final = 8


class Shape(Protocol):
    """What a value must become: ``mend`` makes it so or raises ``Unmendable``, ``neutral`` stands for nothing."""

    def mend(self, value: Any, path: str, notes: Notes) -> Any:
        """A value of this shape made of one of the wire; what was done to it is in the notes."""

    def neutral(self, path: str, notes: Notes) -> Any:
        """The value that stands where the wire has none."""


def _unpacked(value: Any, path: str, notes: Notes) -> Any:
    """The object or array that a text holds as JSON, else the value itself."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        found = lenient(value.strip())
        if found is not None:
            notes.add(path, "text read as the JSON in it")
            return found[0]
    return value


@dataclass(frozen=True, slots=True)
class Array:
    """An array of items of one shape, with a least number of them; ``maker`` is list, tuple, set or frozenset."""

    item: Shape
    least: int
    most: int | None
    maker: type

    def mend(self, value: Any, path: str, notes: Notes) -> Any:
        """The items that could be read; a single one counts as an array of one."""
        if not isinstance(value, list):
            value = self._several(_unpacked(value, path, notes), path, notes)
        items = self._items(value, path, notes)
        if self.most is not None and len(items) > self.most:
            notes.add(path, f"cut to {self.most} of {len(items)} items")
            del items[self.most :]
        if len(items) < self.least:
            raise Unmendable(Fault.MISSING, f"{path}: {len(items)} usable items, at least {self.least} are needed")
        return self.maker(items)

    def neutral(self, path: str, notes: Notes) -> Any:
        """No items."""
        return self.maker()

    def _several(self, value: Any, path: str, notes: Notes) -> list[Any]:
        if isinstance(value, list):
            return value
        if value in ("", {}):
            notes.add(path, f"{echo(value)} read as empty array")
            return []
        if isinstance(value, dict) and all(name.isdecimal() for name in value):
            notes.add(path, "object with numbers for names read as array")
            return list(value.values())
        notes.add(path, f"{echo(value)} read as array of one")
        return [value]

    def _items(self, value: list[Any], path: str, notes: Notes) -> list[Any]:
        items: list[Any] = []
        if isinstance(self.item, Nested) and any(isinstance(item, list) and len(item) != 1 for item in value):
            notes.add(path, "arrays within read as one")
            value = list(_level(value))
        for place, item in enumerate(value):
            if notes.weary:
                notes.give_up(path, len(value) - place)
                break
            items.extend(self._item(item, below(path, place), notes))
        return items

    def _item(self, item: Any, path: str, notes: Notes) -> tuple[Any, ...]:
        """The item as a tuple of one; nothing if it is hopeless."""
        try:
            if item is None:
                raise Unmendable(Fault.TYPE, f"{path}: {echo(item)}")
            return (self.item.mend(item, path, notes),)
        except Unmendable as reason:
            notes.say(f"{reason.detail}, dropped")
            return ()


def _level(value: list[Any], depth: int = 0) -> Iterator[Any]:
    """The items of arrays within arrays, down to a sane depth."""
    for item in value:
        if isinstance(item, list) and depth < MOST_LISTS:
            yield from _level(item, depth + 1)
        else:
            yield item


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object: its names here and on the wire, its shape, and whether it may be left out or null."""

    name: str
    wire: str
    shape: Shape
    required: bool
    nullable: bool


@dataclass(frozen=True, slots=True)
class Object:
    """An object that becomes a Struct."""

    struct: type[msgspec.Struct]
    members: dict[str, Member]
    letters: dict[str, str]

    def mend(self, value: Any, path: str, notes: Notes) -> Any:
        """The Struct; at once if the value is good as it is."""
        try:
            return msgspec.convert(value, self.struct)
        except (msgspec.ValidationError, RecursionError):
            return self.struct(**self._members(self._object(value, path, notes), path, notes))

    def neutral(self, path: str, notes: Notes) -> Any:
        """A Struct whose required members are all neutral."""
        return self.struct(**self._members({}, path, notes))

    def _object(self, value: Any, path: str, notes: Notes) -> dict[str, Any]:
        """The object that a value stands for: what an array or wrapper holds, JSON in a text, the one member needed."""
        value = self._unwrapped(value, path, notes)
        if isinstance(value, dict):
            return value
        needed = [member.wire for member in self.members.values() if member.required]
        if value in (None, "", []):
            notes.add(path, f"{echo(value)} read as empty object")
            return {}
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            return self._of_several(value, path, notes)
        if len(needed) == 1 and not isinstance(value, list):
            notes.add(path, f"{echo(value)} read as its {needed[0]}")
            return {needed[0]: value}
        if not notes.unrefusable or path:
            raise Unmendable(Fault.TYPE, f"{path or 'payload'}: {echo(value)} is no object")
        notes.add(path, f"{echo(value)} read as empty object")
        return {}

    def _unwrapped(self, value: Any, path: str, notes: Notes) -> Any:
        """A value without arrays of one, texts that are JSON, and objects whose only member is this object."""
        for _ in range(MOST_WRAPPINGS):
            value = _unpacked(value, path, notes)
            if isinstance(value, list) and len(value) == 1 and isinstance(value[0], (dict, list, str)):
                notes.add(path, "array of one read as its item")
                value = value[0]
            elif isinstance(value, dict) and (inner := self._inner(value, notes)) is not None:
                notes.add(path, f"read as its {echo(next(iter(value)))}")
                value = inner
            else:
                break
        return value

    def _inner(self, value: dict[str, Any], notes: Notes) -> Any:
        """The object in a wrapper that has no other member, if it looks like this one."""
        if len(value) != 1:
            return None
        name, inner = next(iter(value.items()))
        if self._meant(name, {}, notes) is not None or not isinstance(inner, dict):
            return None
        return inner if any(self._meant(below_it, {}, notes) for below_it in inner) else None

    def _of_several(self, value: list[Any], path: str, notes: Notes) -> dict[str, Any]:
        """One object of the objects in an array: parts of it, or all the items of the array that it needs."""
        parts = [item for item in value[:MOST_PARTS] if isinstance(item, dict)]
        if any(self._meant(name, {}, notes) for part in parts for name in part):
            notes.add(path, f"{len(parts)} objects in an array read as one")
            return {name: said for part in reversed(parts) for name, said in part.items()}
        arrays = [m.wire for m in self.members.values() if m.required and isinstance(m.shape, Array)]
        if len(arrays) == 1:
            notes.add(path, f"array read as its {arrays[0]}")
            return {arrays[0]: value}
        notes.add(path, "array read as empty object")
        return {}

    def _members(self, found: dict[str, Any], path: str, notes: Notes) -> dict[str, Any]:
        if not found.keys() <= self.members.keys():
            found = self._known(found, path, notes)
        made: dict[str, Any] = {}
        for wire, member in self.members.items():
            at = f"{path}.{wire}" if path else wire
            if wire not in found or (found[wire] is None and not member.nullable):
                self._missing(member, at, made, notes, null=wire in found)
            elif found[wire] is None:
                made[member.name] = None
            else:
                self._present(member, found[wire], at, made, notes)
        return made

    def _known(self, found: dict[str, Any], path: str, notes: Notes) -> dict[str, Any]:
        """The members that the Struct knows; a misspelt one stands for a known one that is not there."""
        known = {wire: value for wire, value in found.items() if wire in self.members}
        foreign: dict[str, Any] = {}
        for wire, value in found.items():
            if wire in self.members:
                continue
            meant = None if notes.weary else self._meant(wire, known, notes)
            if meant is None or known.get(meant) is not None:
                foreign[wire] = value
            else:
                notes.add(below(path, wire), f"read as {meant}")
                known[meant] = value
        if foreign and not notes.weary:
            foreign = self._misplaced(known, foreign, path, notes)
        for wire in foreign:
            notes.add(below(path, wire), "unknown member dropped")
        return known

    def _meant(self, wire: str, known: dict[str, Any], notes: Notes) -> str | None:
        """The member that a name stands for, by its letters or as others call it; a known one rather not."""
        if len(wire) > LONGEST:
            return None
        same = self.letters.get(folded(wire))
        if same is not None:
            return same
        called = [name for name in meanings(wire, notes) if name in self.members]
        return next((name for name in called if known.get(name) is None), None)

    def _misplaced(self, known: dict[str, Any], foreign: dict[str, Any], path: str, notes: Notes) -> dict[str, Any]:
        """Put foreign members where a required one is missing; what is left of them."""
        for wire, member in self.members.items():
            if not member.required or known.get(wire) is not None or not foreign:
                continue
            taken = self._array_of(member, foreign) if isinstance(member.shape, Array) else None
            if taken is None:
                taken = self._scalar_of(wire, foreign, notes)
            if taken is not None:
                value, names = taken
                known[wire] = value
                foreign = {name: said for name, said in foreign.items() if name not in names}
                for name in names:
                    notes.add(below(path, name), f"read as {wire}")
        return foreign

    def _array_of(self, member: Member, foreign: dict[str, Any]) -> tuple[Any, tuple[str, ...]] | None:
        """The array that stands under another name, or whose only item lies open among the members."""
        item = getattr(member.shape, "item", None)
        if not isinstance(item, Nested):
            return None
        letters = _letters_of(item.struct)
        for name, value in foreign.items():
            if isinstance(value, (list, dict)) and _looks_like(value, letters):
                return value, (name,)
        open_ones = tuple(name for name in foreign if len(name) <= LONGEST and folded(name) in letters)
        return ([{name: foreign[name] for name in open_ones}], open_ones) if open_ones else None

    def _scalar_of(self, wire: str, foreign: dict[str, Any], notes: Notes) -> tuple[Any, tuple[str, ...]] | None:
        """The value that lies in an object one level too deep, or under a name that is misspelt."""
        for name, value in foreign.items():
            if isinstance(value, dict) and len(value) <= MOST_PARTS:
                for inner, said in value.items():
                    if said is not None and (inner == wire or self._meant(inner, {}, notes) == wire):
                        return said, ()
            elif not isinstance(value, (dict, list)) and nearest(name, (wire,), notes) == wire:
                return value, (name,)
        return None

    def _missing(self, member: Member, at: str, made: dict[str, Any], notes: Notes, *, null: bool) -> None:
        if not member.required:
            if null:
                notes.add(at, "null read as absent")
            return
        if not notes.unrefusable:
            raise Unmendable(Fault.MISSING, f"{at}: {'null' if null else 'missing'}")
        notes.add(at, "null" if null else "missing")
        notes.lose(at)
        made[member.name] = member.shape.neutral(at, notes)

    def _present(self, member: Member, value: Any, at: str, made: dict[str, Any], notes: Notes) -> None:
        if value == "" and not member.required and not isinstance(member.shape, Text):
            notes.add(at, "empty text read as absent")
            return
        try:
            made[member.name] = member.shape.mend(value, at, notes)
        except Unmendable as reason:
            if member.required and not notes.unrefusable:
                raise
            if isinstance(value, str):
                notes.keep(at, value)
            notes.say(f"{reason.detail}, read as absent")
            notes.lose(at)
            if member.required:
                made[member.name] = member.shape.neutral(at, notes)


@dataclass(frozen=True, slots=True)
class Nested:
    """An object inside another; looked up when it is needed, as a Struct may hold its like."""

    struct: type[msgspec.Struct]

    def mend(self, value: Any, path: str, notes: Notes) -> Any:
        """The Struct, unless it lies absurdly deep."""
        if path.count(".") > DEEPEST:
            raise Unmendable(Fault.VALUE, f"{path[:40]}...: nested too deeply")
        return shape_of(self.struct).mend(value, path, notes)

    def neutral(self, path: str, notes: Notes) -> Any:
        """A Struct whose required members are all neutral."""
        return shape_of(self.struct).neutral(path, notes)


@lru_cache(maxsize=512)
def shape_of(struct: type[msgspec.Struct]) -> Object:
    """The shape of a Struct, looked at once."""
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{struct!r} is no Struct")
    members = {field.encode_name: _member(field) for field in info.fields}
    return Object(struct, members, {folded(wire): wire for wire in members})


@lru_cache(maxsize=512)
def _letters_of(struct: type[msgspec.Struct]) -> frozenset[str]:
    """The letters of all members of a Struct and of the items of its arrays."""
    found: set[str] = set()
    waiting = [struct]
    seen: set[type[msgspec.Struct]] = set()
    while waiting:
        shape = shape_of(waiting.pop())
        seen.add(shape.struct)
        found.update(shape.letters)
        items = [getattr(member.shape, "item", None) for member in shape.members.values()]
        waiting += [item.struct for item in items if isinstance(item, Nested) and item.struct not in seen]
    return frozenset(found)


def _looks_like(value: Any, letters: frozenset[str]) -> bool:
    """Whether an object, or the first one in arrays, has a member of these letters; bare values always do."""
    for _ in range(MOST_LISTS):
        if not isinstance(value, list):
            break
        value = next((item for item in value if item is not None), None)
    if isinstance(value, dict):
        return any(len(name) <= LONGEST and (folded(name) in letters or not folded(name)) for name in value)
    return value is not None and not isinstance(value, list)


def _member(field: inspect.Field) -> Member:
    kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    nullable = any(isinstance(kind, (inspect.NoneType, inspect.AnyType)) for kind in kinds)
    return Member(field.name, field.encode_name, _shape(field.type, field.encode_name), field.required, nullable)


def _shape(kind: inspect.Type, wire: str) -> Shape:
    if isinstance(kind, inspect.Metadata):
        return _shape(kind.type, wire)
    if isinstance(kind, inspect.UnionType):
        kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return _shape(kinds[0], wire) if len(kinds) == 1 else Anything()
    if isinstance(kind, inspect.StructType):
        return Nested(kind.cls)
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)):
        return _array(kind, wire)
    return _scalar(kind, wire)


def _array(kind: inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType, wire: str) -> Array:
    makers = {inspect.ListType: list, inspect.VarTupleType: tuple, inspect.SetType: set}
    return Array(_shape(kind.item_type, wire), kind.min_length or 0, kind.max_length, makers.get(type(kind), frozenset))


def _scalar(kind: inspect.Type, wire: str) -> Shape:
    match kind:
        case inspect.StrType():
            return Text(kind.min_length, kind.max_length, kind.pattern)
        case inspect.BoolType():
            return Flag()
        case inspect.IntType():
            return Whole(kind.ge, kind.le)
        case inspect.FloatType():
            return Real(kind.ge, kind.le)
        case inspect.LiteralType():
            return Choice({str(value): value for value in kind.values}, wire)
        case inspect.EnumType():
            return Choice({str(member.value): member.value for member in kind.cls}, wire, kind.cls)
    return Anything()
