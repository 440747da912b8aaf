"""Build the site for ``make docs``: without a warning, complete, whole, and on its own."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from sphinx.util.inventory import InventoryFile

import sessionstream
from sessionstream import doc, testing
from sessionstream.transport import http, ws
from sessionstream_lint.rules.catalogue import SUMMARIES

from .pages import DECISIONS, ROOT


class Page(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])


pytestmark = [pytest.mark.site, pytest.mark.timeout(400)]  # the site is built within the first


@pytest.fixture(scope="module")
def site() -> Path:
    """The site, built where ``make docs`` is to leave it."""
    built = ROOT / "site"
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "sources.py"), str(built)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return built


@cache
def page(path: Path) -> Page:
    return Page(path.read_text("utf-8"))


def test_everything_that_is_to_be_read_has_its_page(site: Path) -> None:
    expected = {f"{entry.section}/{entry.slug}" for entry in doc.entries()}
    expected |= {f"decisions/{'index' if one.stem == 'README' else one.stem}" for one in DECISIONS}
    expected |= {f"rules/{code}" for code in SUMMARIES} | {
        "index",
        "changelog",
        "contributing",
        "code_of_conduct",
        "security",
        "conformance",
    }
    assert {one for one in expected if not (site / f"{one}.html").is_file()} == set()


@pytest.mark.parametrize("module", [sessionstream, ws, http, testing, doc], ids=lambda module: module.__name__)
def test_every_public_name_is_described(site: Path, module: ModuleType) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    described = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    shown = {name.rpartition(".")[2] for name in described if name.startswith(module.__name__)}
    if module is http:
        shown.add("Admitted")  # one class for both transports, which a site can describe once
        assert http.Admitted is ws.Admitted
    assert set(module.__all__) - shown == set()


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    broken = []
    for path in sorted(site.rglob("*.html")):
        for link in page(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target.suffix == ".html" and anchor not in page(target).anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_the_site_takes_nothing_from_elsewhere(site: Path) -> None:
    loaded = {(path.name, one) for path in site.rglob("*.html") for one in page(path).loads if "//" in one}
    assert loaded == set()
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text("utf-8")), sheet


def test_a_link_out_of_the_site_is_an_error(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import sources; from pathlib import Path; "
        "page = sources.HELP / 'stray.md'; sources._text = lambda source: '[x](../../setup.cfg)'; "
        "sources._linked(page, 'stray.md', sources.pages())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "docs")], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert "sessionstream/doc/stray.md: ../../setup.cfg is no page of the site" in done.stderr
