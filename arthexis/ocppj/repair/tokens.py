"""Reading JSON that is none: brackets missing or too many, values left out, control characters, broken escapes.

One pass over tokens with a stack of its own: no recursion, linear time, bounded depth and number of tokens.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

MOST_CHARACTERS: Final = 1 << 20
MOST_TOKENS: Final = 100_000
DEEPEST: Final = 64
LONGEST_NUMBER: Final = 400

Repairs: TypeAlias = dict[str, None]
"""Texts in the order in which they first came up."""

_token = re.compile(
    r"""(?P<mark>[\[\]{},:])
      | (?P<remark>/\*.*?\*/)
      | "(?P<text>(?:[^"\\]++|\\.)*+)(?P<end>"|\\?)
      | '(?P<odd>(?:[^'\\]++|\\.)*+)'
      | (?P<bare>[^\s\[\]{},:"]++)""",
    re.DOTALL | re.VERBOSE,
).finditer
_number = re.compile(r"-?(?:0|[1-9]\d*)(?P<real>(?:\.\d+)?(?:[eE][+-]?\d+)?)", re.ASCII).fullmatch
_sloppy_number = re.compile(r"[+-]?(?=\.?\d)\d*\.?\d*(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_escape = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_surrogate = re.compile("[\ud800-\udfff]").search

_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_WORDS: Final[dict[str, Any]] = {
    "true": True,
    "false": False,
    "null": None,
    "none": None,
    "nil": None,
    "undefined": None,
    "nan": None,
}
_NOTHING: Final = object()


class WireFloat(float):
    """A number with a point or exponent that remembers how it was written."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> WireFloat:
        """The number that a text of the wire is; infinite where it is too large."""
        number = super().__new__(cls, text)
        number.text = text
        return number


class TooMuch(Exception):
    """More tokens than a message of a station can have."""


class _Open:
    """An object or array that has not been closed yet."""

    __slots__ = ("comma", "items", "key", "members")

    def __init__(self, mark: str) -> None:
        self.members: dict[str, Any] | None = {} if mark == "{" else None
        self.items: list[Any] = []
        self.key: Any = _NOTHING
        self.comma = False

    @property
    def value(self) -> Any:
        return self.items if self.members is None else self.members

    @property
    def closes(self) -> str:
        return "]" if self.members is None else "}"

    @property
    def waits_for_key(self) -> bool:
        return self.members is not None and self.key is _NOTHING

    @property
    def waits_for_value(self) -> bool:
        return self.key is not _NOTHING

    def put(self, value: Any) -> None:
        self.comma = False
        if self.members is None:
            self.items.append(value)
        else:
            self.members[self.key] = value
            self.key = _NOTHING


class Reader:
    """One reading of a text. ``value`` is what it says, ``repairs`` what had to be guessed."""

    __slots__ = ("_deep", "_stack", "done", "end", "repairs", "value")

    def __init__(self) -> None:
        """Nothing read yet."""
        self.repairs: Repairs = {}
        self.value: Any = _NOTHING
        self.done = False
        self.end = 0
        self._deep = 0
        self._stack: list[_Open] = []

    def read(self, text: str) -> None:
        """Read the first value of the text; raises ``TooMuch``."""
        for count, token in enumerate(_token(text)):
            if count > MOST_TOKENS:
                raise TooMuch
            self._take(token, last=token.end() == len(text))
            if self.done:
                self.end = token.end()
                return
        self.end = len(text)
        if self._stack:
            self._note("cut off: closed")
            self._fill()

    def _note(self, done: str) -> None:
        self.repairs[done] = None

    def _take(self, token: re.Match[str], *, last: bool) -> None:
        mark = token["mark"]
        if self._deep:
            self._deep += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark or "", 0)
        elif token["remark"] is not None:
            self._note("a comment dropped")
        elif mark is None:
            self._scalar(token, last=last)
        elif mark in "[{":
            self._open(mark)
        elif mark in "]}":
            self._close(mark)
        elif not self._stack:
            return
        elif mark == ",":
            self._comma(self._stack[-1])

    def _open(self, mark: str) -> None:
        if len(self._stack) >= DEEPEST:
            self._note("nested too deeply: null in its place")
            if not self._stack[-1].waits_for_key:
                self._stack[-1].put(None)
            self._deep = 1
            return
        new = _Open(mark)
        if self._stack:
            if self._stack[-1].waits_for_key:
                self._stack[-1].key = ""
                self._note("a value without a name")
            self._stack[-1].put(new.value)
        else:
            self.value = new.value
        self._stack.append(new)

    def _comma(self, top: _Open) -> None:
        if top.waits_for_value:
            self._fill()
        elif top.members is None and (top.comma or not top.items):
            self._note("empty value read as null")
            top.put(None)
        top.comma = True

    def _fill(self) -> None:
        """Give the member that waits for one a null."""
        if self._stack[-1].waits_for_value:
            self._note("empty value read as null")
            self._stack[-1].put(None)

    def _close(self, mark: str) -> None:
        if not self._stack:
            return
        if self._stack[-1].closes != mark and not self._unwind(mark):
            return
        if self._stack[-1].comma:
            self._note("trailing comma dropped")
        self._fill()
        self._stack.pop()
        self.done = not self._stack

    def _unwind(self, mark: str) -> bool:
        """Close what stands between a bracket and the one it belongs to; False if the bracket belongs to none."""
        top = self._stack[-1]
        if top.waits_for_value or not any(one.closes == mark for one in self._stack):
            self._note("stray bracket dropped")
            if top.waits_for_value:
                top.put([] if mark == "]" else {})
            return False
        self._note("missing bracket added")
        while self._stack[-1].closes != mark:
            self._fill()
            self._stack.pop()
        return True

    def _scalar(self, token: re.Match[str], *, last: bool) -> None:
        if not self._stack:
            return
        top = self._stack[-1]
        cut = token["end"] in ("", "\\") or (last and token["bare"] is not None)
        if top.waits_for_key:
            top.key = _NOTHING if cut else self._text(token)
            top.comma = False
        else:
            top.put(None if cut else self._value(token))

    def _text(self, token: re.Match[str]) -> str:
        if token["bare"] is not None:
            self._note("name without quotes")
            return token["bare"]
        return self._unquoted(token)

    def _value(self, token: re.Match[str]) -> Any:
        bare = token["bare"]
        if bare is None:
            return self._unquoted(token)
        if len(bare) <= LONGEST_NUMBER:
            number = _number(bare)
            if number is not None:
                return WireFloat(bare) if number["real"] else int(bare)
            if _sloppy_number(bare):
                self._note("a number mended")
                return _plain_number(bare)
        return self._word(bare)

    def _word(self, bare: str) -> Any:
        if bare not in ("true", "false", "null"):
            self._note("a word without quotes")
        return _WORDS.get(bare.lower(), bare)

    def _unquoted(self, token: re.Match[str]) -> str:
        text = token["text"]
        if text is None:
            self._note("single quotes")
            text = token["odd"]
        return _unescaped(text) if "\\" in text else text


def _plain_number(bare: str) -> Any:
    """The number meant by ``+5``, ``007``, ``5.`` or ``.5``."""
    if bare.lstrip("+-").isdigit():
        return int(bare)
    return WireFloat(repr(float(bare))) if abs(float(bare)) < 1e300 else bare


def _unescaped(text: str) -> str:
    """A JSON text without its escapes; broken ones stay as they are, halves of characters become U+FFFD."""
    text = _escape.sub(_character, text)
    if _surrogate(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _character(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16)) if escape[1] != "0000" else "\ufffd"
    return _ESCAPES.get(escape[2], escape[0])


def lenient(text: str) -> tuple[Any, tuple[str, ...], str] | None:
    """The first object or array of a text, the repairs that it took, and the rest; None if there is none.

    Never raises. A value at which the text was cut off is null, not half a number or half a text.
    """
    if len(text) > MOST_CHARACTERS:
        return None
    if _surrogate(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    reader = Reader()
    try:
        reader.read(text)
    except TooMuch:
        return None
    if reader.value is _NOTHING:
        return None
    return reader.value, tuple(reader.repairs), text[reader.end :]
