"""Every address of the lab: what it answers, and in which words it refuses."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sessionstream import doc
from sessionstream.serving.bodies import MAX_BYTES
from sessionstream.serving.running import RETURN_AFTER
from sessionstream.systemlab.lab import Lab
from sessionstream.systemlab.phases import PHASES

from .client import JSON, Client, serving

PAGES = ["/", "/phases/1", "/inspector", "/docs/", "/docs/sessionstream-reference", "/chapters/", "/chapters/1"]
READS = [*PAGES, "/healthz", "/static/base.css", "/api/status", "/api/phase1/state", "/api/phase1/export"]
WRITES = ["/api/reset", "/api/phase1/run"]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_html_that_takes_nothing_from_elsewhere(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; frame-ancestors 'none'")
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert "://" not in answer.text.split("<main")[0]


async def test_every_phase_has_its_page_its_chapter_and_a_place_in_the_navigation() -> None:
    async with Lab() as lab:
        assert [phase.number for phase in lab.phases] == list(range(len(PHASES)))
        async with serving(lab) as client:
            for phase in lab.phases:
                page = await client.get(f"/phases/{phase.number}")
                assert phase.lead in page.text.replace("&#39;", "'")
                assert f'href="/phases/{phase.number}"' in (await client.get("/docs/")).text
                assert (await client.get(f"/chapters/{phase.number}")).status == 200
                state = (await client.get(f"/api/phase{phase.number}/state")).json
                assert {check["verdict"] for check in state["checks"]} <= {"passed", "waiting"}


@pytest.mark.parametrize("entry", doc.entries(), ids=lambda entry: entry.slug)
async def test_the_help_is_there_rendered_and_raw(client: Client, entry: doc.Entry) -> None:
    page = await client.get(f"/docs/{entry.slug}")
    assert page.status == 200
    raw = await client.get(f"/docs/{entry.slug}.md")
    assert raw.headers["content-type"] == "text/markdown; charset=utf-8"
    assert raw.text.startswith("---\ntitle:")
    assert raw.text.endswith(entry.body)
    anchors = {}
    for link in re.findall(r'href="(?!https?://)([^"]+)"', page.text.partition("<main")[2]):
        place, _, anchor = link.partition("#")
        if place not in anchors:
            led_to = await client.get(place or f"/docs/{entry.slug}")
            assert led_to.status == 200, link
            anchors[place] = set(re.findall(r' id="([^"]+)"', led_to.text))
        assert not anchor or anchor in anchors[place], link


async def test_files_are_those_of_the_package(client: Client) -> None:
    inspector = ("inspector/inspector.css", "inspector/rows.js")
    for name in ("base.css", "lab.js", "core.js", "sessionstream.js", "icon.svg", *inspector):
        assert (await client.get(f"/static/{name}")).status == 200
    for name in ("nope.js", "..%2Fapp.py", "%2e%2e/app.py", "phase1.md", "inspector/nope.js"):
        assert (await client.get(f"/static/{name}")).status == 404


@pytest.mark.parametrize("path", READS)
async def test_what_is_read_cannot_be_written(client: Client, path: str) -> None:
    answer = await client.post(path, {})
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_what_is_written_cannot_be_read(client: Client, path: str, method: str) -> None:
    answer = await client.ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.json == {"error": f"{path} is asked by POST, not by {method}"}


@pytest.mark.parametrize(
    ("path", "document", "words"),
    [
        ("/api/phase1/run", {}, "a run names its action"),
        ("/api/phase1/run", {"action": 1}, "a run names its action"),
        ("/api/phase1/run", {"action": "nope"}, "there is no action 'nope' here; there are submit, session, remove"),
        ("/api/phase1/run", {"action": "submit", "more": 1}, "submit has no field more; its fields: prompt"),
        ("/api/phase1/run", {"action": "submit", "prompt": 1}, "Prompt (prompt) is a text of at most 1000 characters"),
        ("/api/phase1/run", {"action": "submit", "prompt": "  "}, "the prompt is empty"),
        ("/api/phase1/run", {"action": "submit", "prompt": "word " * 61}, "a prompt has at most 60 words"),
        ("/api/phase1/run", {"action": "session", "session": " "}, "session id ' ' is not usable: it is empty"),
        ("/api/phase1/run", {"action": "remove"}, "session 'lab-1' has no note: submit a prompt first"),
        ("/api/phase1/run", {"action": "break", "fault": "all"}, "What goes wrong (fault) is one of none, drop"),
        ("/api/phase1/run", [], "a run is a JSON object"),
        ("/api/reset", {"phase": "1"}, "a phase is a number, not '1'"),
        ("/api/reset", {"phase": True}, "a phase is a number, not True"),
        ("/api/reset", {"all": 1}, "a reset takes a phase, and no all"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(client: Client, path: str, document: object, words: str) -> None:
    answer = await client.post(path, document)
    assert answer.status == 400
    assert answer.json["error"].startswith(words)


@pytest.mark.parametrize("path", WRITES)
async def test_what_is_no_json_is_refused(client: Client, path: str) -> None:
    for body in ("", "{", "{}x", "\ud7ff", "[" * 50_000):
        answer = await client.ask("POST", path, body, JSON)
        assert answer.status == 400, body[:10]
        assert " is JSON: " in answer.json["error"]
    for body in ('{"action": "submit", "prompt": "a\\ud83d"}', '{"\\ud83d": 1}', '{"phase": NaN}', '{"phase": 1e999}'):
        answer = await client.ask("POST", path, body, JSON)
        assert answer.status == 400, body
        assert " is JSON: " in answer.json["error"]
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
        assert (await client.ask("POST", path, "{}", headers)).status == 415
    assert (await client.ask("POST", path, json.dumps("x" * MAX_BYTES), JSON)).status == 413


async def test_an_export_has_one_of_two_formats(client: Client) -> None:
    answer = await client.get("/api/phase1/export?format=pdf")
    assert (answer.status, answer.json) == (400, {"error": "an export has the format json or markdown, not 'pdf'"})


async def test_a_404_is_json_for_scripts_and_a_page_for_people(client: Client) -> None:
    for path in ("/api/nope", "/api/phase7/state", "/api/phase7/run", "/api/phase7/ws", "/api/phase7/export"):
        answer = await (client.post(path, {"action": "x"}) if path.endswith("run") else client.get(path))
        assert answer.status == 404, path
        assert set(answer.json) == {"error"}
    for path in ("/nope", "/phases/7", "/chapters/7", "/docs/sessionstream-refrence", "/phases/x"):
        answer = await client.get(path)
        assert answer.status == 404, path
        assert "<h1>That did not work</h1>" in answer.text
    assert "did you mean sessionstream-reference" in (await client.get("/docs/sessionstream-refrence")).text


async def test_a_name_in_an_address_is_text(client: Client) -> None:
    assert "<img" not in (await client.get("/docs/<img src=x>".replace(" ", "%20"))).text


async def test_other_hosts_are_not_answered_for(client: Client) -> None:
    for path in ("/", "/api/phase1/state"):
        assert (await client.get(path, host="evil.example")).status == 421


async def test_the_websocket_is_that_of_the_phase_as_it_is_now(client: Client, lab: Lab) -> None:
    address = client.url.replace("http:", "ws:") + "/api/phase1/ws"
    upgrade = await client.get("/api/phase1/ws")
    assert (upgrade.status, upgrade.json) == (426, {"error": "this is a WebSocket endpoint"})
    async with connect(address) as watching:
        assert "hello" in json.loads(await watching.recv())
        await client.post("/api/reset", {"phase": 1})
        await watching.wait_closed()
        assert (watching.close_code, watching.close_reason) == (1012, f"retry-after={RETURN_AFTER:g}")
    async with connect(address) as watching:
        assert "hello" in json.loads(await watching.recv())
        assert len(lab.phases[0].server.connections()) == 1  # type: ignore[union-attr]
    for origin in ("http://evil.example", "null"):
        with pytest.raises(InvalidStatus):
            await connect(address, additional_headers={"origin": origin})
    with pytest.raises(InvalidStatus):
        await connect(address.replace("phase1", "phase7"))


async def test_a_run_answers_with_the_state_after_it(client: Client) -> None:
    answer = await client.post("/api/phase1/run", {"action": "submit", "prompt": "two words"})
    assert answer.status == 200
    assert answer.json == (await client.get("/api/phase1/state")).json
    assert {check["verdict"] for check in answer.json["checks"]} == {"passed"}


async def test_status_and_reset(client: Client) -> None:
    async def phase() -> Any:
        status = (await client.get("/api/status")).json
        assert status["version"] == version("sessionstream")
        return {key: status["phases"][0][key] for key in ("number", "passed", "failed", "waiting")}

    assert await phase() == {"number": 1, "passed": 0, "failed": 0, "waiting": 6}
    await client.post("/api/phase1/run", {"action": "break", "fault": "lost"})
    await client.post("/api/phase1/run", {"action": "submit"})
    assert await phase() == {"number": 1, "passed": 4, "failed": 2, "waiting": 0}
    for document in ({}, {"phase": 1}, {"phase": None}):
        answer = await client.post("/api/reset", document)
        assert answer.status == 200
    assert await phase() == {"number": 1, "passed": 0, "failed": 0, "waiting": 6}
    assert (await client.post("/api/reset", {"phase": 7})).status == 404
