"""What secrets look like, wherever they stand."""

from __future__ import annotations

import re
from typing import Final

from mcpmux_tui.model.inputs import looks_secret

SHAPES: Final = re.compile(
    # GitHub, GitLab, OpenAI and Anthropic, Stripe, Slack, AWS, Google, npm, PyPI, Hugging Face,
    # SendGrid, DigitalOcean, Linear, Notion, signed JSON.
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{20,}"
    r"|[rs]k_(?:live|test)_\w{16,}|xox[abeprs]-[\w-]{10,}|A(?:KIA|SIA)[A-Z0-9]{16}"
    r"|AIza[\w-]{30,}|npm_\w{30,}|pypi-[\w-]{30,}|hf_\w{20,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|dop_v1_\w{40,}|lin_api_\w{20,}|(?:ntn|secret)_\w{30,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,})(?![\w-])"
)
_PARAMETER: Final = re.compile(r"([?&]([^=&#\s]+)=)([^&#\s]+)")


def masked(text: str) -> str:
    """An address or a command line with what looks like a secret hidden, for rows and logs."""
    text = SHAPES.sub("***", text)
    return _PARAMETER.sub(
        lambda each: f"{each[1]}***" if _hides(each[2], each[3]) else each[0], text
    )


def _hides(name: str, value: str) -> bool:
    return looks_secret(name) and "${" not in value
