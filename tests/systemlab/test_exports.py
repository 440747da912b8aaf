"""A state as a file: everything of it in both formats, and text that means only itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

from markdown_it import MarkdownIt

from sessionstream.systemlab.breaks import Break
from sessionstream.systemlab.checks import Check
from sessionstream.systemlab.exports import markdown
from sessionstream.systemlab.panels import Document, Table
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases.pipeline import Pipeline

from .client import Client

HOSTILE = "a|b <b>x</b> `c` *d*\n# e [f](g)"


async def test_both_files_hold_what_the_page_shows(client: Client) -> None:
    await client.post("/api/phase1/run", {"action": "submit", "prompt": "two words"})
    state = (await client.get("/api/phase1/state")).json
    exported = await client.get("/api/phase1/export?format=json")
    assert exported.headers["content-disposition"] == 'attachment; filename="systemlab-phase1.json"'
    assert exported.headers["content-type"] == "application/json; charset=utf-8"
    assert exported.json == state
    written = await client.get("/api/phase1/export?format=markdown")
    assert written.headers["content-disposition"] == 'attachment; filename="systemlab-phase1.md"'
    assert written.headers["content-type"] == "text/markdown; charset=utf-8"
    html = MarkdownIt("commonmark").enable("table").render(written.text)
    for title in (*(check["claim"] for check in state["checks"]), *(panel["title"] for panel in state["panels"])):
        assert f">{title}</h" in html
    tables = [panel for panel in state["panels"] if panel["kind"] == "table" and panel["rows"]]
    assert html.count("<table>") == len(tables)
    assert html.count("<tr>") == sum(len(panel["rows"]) + 1 for panel in tables)
    blocks = re.findall(r"^```json\n(.*?)^```$", written.text, re.MULTILINE | re.DOTALL)
    evidence = [check["evidence"] for check in state["checks"]]
    documents = [panel["value"] for panel in state["panels"] if panel["kind"] == "document"]
    assert [json.loads(block) for block in blocks] == [*evidence, *documents]


def test_text_is_only_text() -> None:
    phase = Pipeline(Path())
    state = State(
        (Check("c", HOSTILE, "failed", HOSTILE, HOSTILE),),
        (Table("t", HOSTILE, ("A", "B"), ((HOSTILE, 1),), ""), Document("d", HOSTILE, HOSTILE)),
        facts=((HOSTILE, HOSTILE),),
        latest=HOSTILE,
        broken=Break(HOSTILE, "c"),
        held=HOSTILE,
    )
    html = MarkdownIt("commonmark").enable("table").render(markdown(phase, state))
    assert "<b>x" not in html
    assert "<a " not in html
    assert html.count("<tr>") == 2
    assert html.count("<h1>") == 1
    assert html.count("<td>") == 2
    assert html.count("<li>") == 4  # the last event, what is broken, what is held, and the fact
    assert "**FAILED**" not in html
    assert "<strong>FAILED</strong>" in html
