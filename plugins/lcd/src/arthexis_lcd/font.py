"""The letters in dots, five wide and eight high: what a picture is drawn with, and what own characters are made of.

Each row is one digit of base 32, its five bits from left to right: ``E`` is ``01110``. Seven rows and an empty eighth,
unless eight are written.
"""

# ruff: noqa: RUF001 - letters that look alike are told apart here

from __future__ import annotations

import unicodedata
from typing import Final

WIDTH: Final = 5
HEIGHT: Final = 8
BLANK: Final = bytes(HEIGHT)

_DRAWN: Final = """
! 4444004  " AAA0000  # AAVAVAA  $ 4FKE5U4  % OP248J3  & CIK8LID  ' C480000  ( 2488842  ) 8422248  * 04LEL40
+ 044V440  , 0000C48  - 000V000  . 00000CC  / 01248G0  0 EHJLPHE  1 4C4444E  2 EH1248V  3 V2421HE  4 26AIV22
5 VGU11HE  6 68GUHHE  7 V124888  8 EHHEHHE  9 EHHF12C  : 0CC0CC0  ; 0CC0C48  < 248G842  = 00V0V00  > 8421248
? EH12404  @ EH1DLLE  A EHHVHHH  B UHHUHHU  C EHGGGHE  D SIHHHIS  E VGGUGGV  F VGGUGGG  G EHGNHHF  H HHHVHHH
I E44444E  J 72222IC  K HIKOKIH  L GGGGGGV  M HRLLHHH  N HHPLJHH  O EHHHHHE  P UHHUGGG  Q EHHHLID  R UHHUKIH
S FGGE11U  T V444444  U HHHHHHE  V HHHHHA4  W HHHLLLA  X HHA4AHH  Y HHHA444  Z V1248GV  [ E88888E  \\ 0G84210
] E22222E  ^ 4AH0000  _ 000000V  ` 8420000  a 00E1FHF  b GGMPHHU  c 00EGGHE  d 11DJHHF  e 00EHVGE  f 698S888
g 0FHHF1E  h GGMPHHH  i 40C444E  j 20622IC  k GGIKOKI  l C44444E  m 00QLLHH  n 00MPHHH  o 00EHHHE  p 00UHUGG
q 00DJF11  r 00MPGGG  s 00EGE1U  t 88S8896  u 00HHHJD  v 00HHHA4  w 00HHLLA  x 00HA4AH  y 00HHF1E  z 00V248V
{ 2448442  | 4444444  } 8442448  ~ 008L200  → 042V240  ← 048V840  ↑ 04EL444  ↓ 444LE40  ¥ HHAV4V4  ° EAE0000
· 0004000  ÷ 040V040  × 0HA4AH0  ± 44V440V  µ 00HHHJTG  α 009LIID  Ω 0EHHAAR  π 00VAAAJ  Σ VG848GV  √ 7444KC4
∞ 00ALA00  █ VVVVVVVV  ¢ 44EKKE4  £ 698S88V  € 69S8S96  ¿ 4048GHE  ¡ 4004444  « 005AKA5  » 00KA5AK  § FGEHE1U
ß EHUHUGG  æ 00Q5FKB  œ 00ALNKB  Æ FKKUKKN  Œ FKKNKKF  ø 00FJLPU  Ø FJJLPPU  ł C456C4E  Ł GGKOGGV  đ 272EIIE
Đ SIHTHIS  þ G0UHHUGG  Þ GUHHUGG  ı 00C444E  ď 55CKKKC  ť 99S8896  ľ P98888S  Ľ HHGGGGV  ≤ 248420E  ≥ 842480E
ħ 8S8AD99  ĺ 244444E  ª E1FHF0V  º EHHHE0V
"""
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_ABOVE: Final = {
    "\u0300": "84",  # grave
    "\u0301": "24",  # acute
    "\u0302": "4A",  # circumflex
    "\u0303": "DI",  # tilde
    "\u0304": "0E",  # macron
    "\u0306": "HE",  # breve
    "\u0307": "40",  # dot
    "\u0308": "A0",  # diaeresis
    "\u030a": "EA",  # ring
    "\u030b": "9I",  # double acute
    "\u030c": "A4",  # caron
}
_BELOW: Final = {
    "\u0323": "4",  # dot
    "\u0326": "8",  # comma
    "\u0327": "C",  # cedilla
    "\u0328": "3",  # ogonek
}
_LEAVES_OUT: Final = (1, 5)
"""The rows that a tall letter can spare for a mark above it."""
_BENEATH: Final = {"i": "00C444E", "j": "00622IC", "o": "000EHHE", "w": "000HHLA", "z": "000V28V"}
"""Letters that lose their dot under a mark, or would look like their capitals there."""


def _rows(digits: str) -> bytes:
    return bytes(_DIGITS.index(digit) for digit in digits.ljust(HEIGHT, "0"))


def _table() -> dict[str, bytes]:
    cells = _DRAWN.split()
    return {" ": BLANK, **{letter: _rows(digits) for letter, digits in zip(cells[::2], cells[1::2], strict=True)}}


_FONT: Final = _table()


def dots(character: str) -> bytes | None:
    """The eight rows of a character, five bits each; None where nobody has drawn it and it cannot be put together."""
    if character in _FONT:
        return _FONT[character]
    base, *marks = list(unicodedata.normalize("NFD", character))
    drawn = _FONT.get(base)
    if drawn is None or len(marks) != 1:
        return None
    [mark] = marks
    if mark in _BELOW:
        return drawn[:7] + _rows(_BELOW[mark])[:1]
    return _marked(_rows(_BENEATH[base]) if base in _BENEATH else drawn, mark)


def _marked(drawn: bytes, mark: str) -> bytes | None:
    """A letter with a mark above it, made lower where it is too tall for that."""
    if mark not in _ABOVE:
        return None
    tall = any(drawn[:2])
    low = bytes(row for at, row in enumerate(drawn[:7]) if at not in _LEAVES_OUT) if tall else drawn[2:7]
    return _rows(_ABOVE[mark])[:2] + low + drawn[7:]
