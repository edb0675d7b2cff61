"""The portal's pages: plain HTML that asks nobody else for anything, in English and Spanish."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from html import escape
from typing import Final

STYLE: Final = (
    "body{margin:0 auto;max-width:34rem;padding:1.5rem;font:1.1rem/1.5 system-ui,sans-serif;color:#1b1b1b;"
    "background:#fff}button{font:inherit;font-weight:600;padding:.8rem 1.2rem;border:0;border-radius:.4rem;"
    "background:#0b5d2a;color:#fff;width:100%}button.quiet{background:#555}"
    "button:focus-visible,a:focus-visible{outline:3px solid #c60;outline-offset:2px}"
    "[role=alert]{border-left:.3rem solid #a00;padding-left:.8rem}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}a{color:#9cf}button{background:#2a8f4f;"
    "color:#000}button.quiet{background:#aaa}}"
)
STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
NAMES: Final = {"en": "English", "es": "Español"}
WORDS: Final = {
    "en": {
        "agree": "I agree, connect",
        "leave": "Disconnect",
        "connected": "You are connected",
        "until": "until {} UTC, for {} more minutes. Then this page comes again.",
        "stale": "This page was too old. Please agree once more.",
        "busy": "Many people are connecting at this moment. Please try again in a minute.",
        "barred": "The operator has ended this device's access for now.",
        "stranger": "This page is for devices that are in this network.",
        "away": "This is not working at the moment. Please try again soon.",
    },
    "es": {
        "agree": "Acepto: conectar",
        "leave": "Desconectar",
        "connected": "Tiene conexión",
        "until": "hasta las {} UTC, {} minutos más. Después volverá esta página.",
        "stale": "Esta página era demasiado antigua. Acepte otra vez, por favor.",
        "busy": "Hay muchas personas conectándose. Inténtelo de nuevo en un minuto.",
        "barred": "El operador ha terminado por ahora el acceso de este dispositivo.",
        "stranger": "Esta página es para dispositivos de esta red.",
        "away": "En este momento no funciona. Inténtelo de nuevo en breve.",
    },
}


def language_of(accepted: str, asked: str, offered: list[str]) -> str:
    """The language of a page: the one asked for, else the first accepted one that is offered, else the first."""
    if asked in offered:
        return asked
    wishes = (part.partition(";")[0].strip().lower()[:2] for part in accepted[:200].split(","))
    return next((wish for wish in wishes if wish in offered), offered[0])


def consent(title: str, shown: dict[str, str], token: str, others: list[str], alert: str = "") -> str:
    """The page that asks for consent; ``alert`` is a word of ``WORDS`` that says what went wrong before."""
    words = WORDS[shown["language"]]
    warning = f'<p role="alert">{escape(words[alert])}</p>' if alert else ""
    paragraphs = "".join(f"<p>{escape(part)}</p>" for part in shown["text"].split("\n\n"))
    form = _form("/consent", token, words["agree"])
    return _page(title, shown["language"], f"{warning}{paragraphs}{form}", others)


def connected(title: str, language: str, until: datetime, seconds: int, token: str, others: list[str]) -> str:
    """The page of a guest who is let through."""
    words = WORDS[language]
    told = words["until"].format(until.strftime("%H:%M"), max(1, round(seconds / 60)))
    form = _form("/leave", token, words["leave"], ' class="quiet"')
    return _page(title, language, f"<p><strong>{words['connected']}</strong> {told}</p>{form}", others)


def notice(title: str, language: str, word: str) -> str:
    """A page that only says something: a word of ``WORDS``."""
    return _page(title, language, f'<p role="alert">{escape(WORDS[language][word])}</p>', [])


def _form(action: str, token: str, label: str, style: str = "") -> str:
    hidden = f'<input type="hidden" name="token" value="{escape(token)}">'
    return f'<form method="post" action="{action}">{hidden}<button{style}>{escape(label)}</button></form>'


def _page(title: str, language: str, body: str, others: list[str]) -> str:
    links = " ".join(
        f'<a href="/?lang={other}" lang="{other}" hreflang="{other}">{NAMES[other]}</a>' for other in others
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main><nav><p>{links}</p></nav></body></html>"
    )
