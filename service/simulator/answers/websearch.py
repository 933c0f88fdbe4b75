"""Results of the web search tool: made up from the shop's facts, so that they are the same each
time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from service.simulator.answers.facts import Facts
from service.simulator.answers.search import Finding
from service.simulator.tools import truth

_WITHOUT_LINKS = frozenset({"search_std", "search_pro"})  # these leave `link` empty, as captured
_CONTENT_LENGTH = {"medium": 400, "high": 1200}  # characters
PUBLISHED = "2026-06-01"


def results(
    search: Mapping[str, Any], facts: Facts, findings: list[Finding]
) -> list[dict[str, Any]] | None:
    """The `web_search` array, or None where `search_result` does not ask for it."""
    if not truth(search.get("search_result")):
        return None
    engine = search.get("search_engine", "search_std")
    passages = [finding.passage for finding in findings]
    passages += [passage for passage in facts.passages if passage not in passages]
    length = _CONTENT_LENGTH[search.get("content_size") or "medium"]
    found = []
    for index, passage in enumerate(passages[: search.get("count", 10)], start=1):
        digest = hashlib.blake2b(passage.title.encode(), digest_size=4).hexdigest()
        link = "" if engine in _WITHOUT_LINKS else f"https://search.example/{digest}"
        found.append(
            {
                "title": passage.title,
                "link": link,
                "content": passage.text[:length],
                "media": facts.shop or "search.example",
                "icon": "",
                "refer": f"ref_{index}",
                "publish_date": PUBLISHED,
            }
        )
    return found
