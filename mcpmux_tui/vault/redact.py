"""Takes secrets out of texts: those that are known, in the forms in which they get about."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from mcpmux_tui.model.secret import MASK, Secret

_SHORTEST: Final = 4
"""Characters: to look for less would spoil texts and hide nothing."""
_WORDS: Final = frozenset({"true", "false", "none", "null"})
_PHRASES: Final = re.compile(
    r"(?P<head>\b(?:authorization|x-api-key|api[_-]?key|(?:access|refresh|id)_token|client_secret"
    r"|code_verifier|device_code|password|cookie|set-cookie)[\"']?\s*[:=]\s*[\"']?"
    r"(?:(?:bearer|basic|token)\s+)?)"
    r"(?P<value>(?!\*\*\*)[^\s\"',;&}]{4,})"
    r"|(?P<jwt>\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)",
    re.IGNORECASE,
)


class Redactor:
    """Knows every secret of an engine; `clean` is cheap where none stands in a text."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, secret: Secret) -> None:
        """Take a secret out of all texts from now on."""
        value = secret.reveal()
        if value in self._known or len(value.strip()) < _SHORTEST or value in _WORDS:
            return
        self._known.add(value)
        forms = sorted({form for each in self._known for form in _forms(each)}, key=len)
        # The longest first: one secret may stand in another.
        self._pattern = re.compile("|".join(re.escape(form) for form in reversed(forms)))

    def clean(self, text: str) -> str:
        """`text` with MASK in the place of every secret, and of what looks like one."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return _PHRASES.sub(_hidden, text)


def _hidden(match: re.Match[str]) -> str:
    return MASK if match["jwt"] is not None else f"{match['head']}{MASK}"


def _forms(value: str) -> Iterator[str]:
    """A value as it stands, as it stands in addresses, in JSON, in Base64."""
    yield value
    if (bare := value.strip()) != value:
        yield bare
    # Half characters have no bytes of their own, so no other form.
    if not value.isprintable() and any("\ud800" <= char <= "\udfff" for char in value):
        return
    yield quote(value, safe="")
    yield quote_plus(value)
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
    data = value.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # Within a longer text the ends depend on what stands beside: what is sure is the middle.
        for lead in range(3):
            text = encode(b"\0" * lead + data).decode("ascii").rstrip("=")
            sure = text[(0, 2, 3)[lead] : len(text) - (1 if (len(data) + lead) % 3 else 0)]
            if len(sure) >= 8:
                yield sure
