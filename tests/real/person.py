"""A person in a browser: opens an address, fills in what pages ask, and follows where that leads.

    python person.py ADDRESS

PERSON_CODE     what they enter as a device's code
PERSON_DECLINES they say no where a page lets them
PERSON_LOG      a file that gets a line for each address they were sent to
"""

from __future__ import annotations

import os
import re
import sys
from html import unescape
from urllib.parse import urljoin

import httpx2

_PAGES = 12
_TYPED = {"login": "ada", "password": "x", "user_code": os.environ.get("PERSON_CODE", "")}


def main(address: str) -> None:
    """Go on until a page asks nothing more."""
    with open(os.environ["PERSON_LOG"], "a", encoding="utf-8") as log:  # noqa: PTH123
        log.write(f"{address}\n")
    with httpx2.Client(trust_env=False, follow_redirects=True, timeout=10) as browser:
        page = browser.get(address)
        for _ in range(_PAGES):
            no = re.search(r'<a href="([^"]+)">\[ (?:Cancel|Abort) \]', page.text)
            if no is not None and "PERSON_DECLINES" in os.environ:
                page = browser.get(urljoin(str(page.url), unescape(no[1])))
                continue
            form = re.search(r"<form(.*?)>(.*?)</form>", page.text, re.DOTALL)
            if form is None:
                return
            action = attribute(form[1], "action") or str(page.url)
            inputs = re.findall(r"<input(.*?)>", form[2], re.DOTALL)
            fields = {
                name: attribute(each, "value") or _TYPED.get(name, "")
                for each in inputs
                if (name := attribute(each, "name"))
            }
            page = browser.post(urljoin(str(page.url), action), data=fields)
        raise SystemExit(f"no end in {_PAGES} pages: {page.text[:400]}")


def attribute(tag: str, name: str) -> str:
    """The value of a tag's attribute; empty without one."""
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


if __name__ == "__main__":
    main(sys.argv[1])
