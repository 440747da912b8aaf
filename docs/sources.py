"""Lay out what the site is made of, and let Sphinx make it: ``python docs/sources.py SITE``.

`make docs` does so, and checks the site.

The site has no text of its own but its front page and the lists in ``api/``. Everything else is what ships, or lies in
the repository, copied for the time of the build: the embedded help, the decisions, the rules of the linter, the
changelog. Links between those files are turned into links between the pages; what leads out of the site is an error.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sphinx.cmd.build import build_main

from sessionstream import doc

ROOT: Final = Path(__file__).resolve().parents[1]
HELP: Final = ROOT / "sessionstream" / "doc"

_LINK: Final = re.compile(r"(\[[^\]]*\]\()([^)\s]+?)(#[^)\s]*)?(\))")
_FENCED: Final = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def pages() -> dict[Path, str]:
    """Return every file that becomes a page, and the place of the page."""
    found = {HELP / entry.section / f"{entry.slug}.md": f"{entry.section}/{entry.slug}.md" for entry in doc.entries()}
    for decision in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        found[decision] = f"decisions/{'index.md' if decision.name == 'README.md' else decision.name}"
    for rule in sorted((ROOT / "sessionstream_lint" / "rules").glob("*.md")):
        found[rule] = f"rules/{rule.name}"
    found[ROOT / "sessionstream" / "transport" / "ws" / "conformance" / "README.md"] = "conformance.md"
    found[ROOT / "benchmarks" / "README.md"] = "benchmarks.md"
    for name in ("CHANGELOG", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY"):
        found[ROOT / f"{name}.md"] = f"{name.lower()}.md"
    return found


def lay_out(into: Path) -> None:
    """Put everything that Sphinx reads into an empty directory.

    Raises:
        ValueError: a file has a link to a file that is no page.
    """
    for name in ("conf.py", "index.md"):
        shutil.copy(ROOT / "docs" / name, into / name)
    shutil.copytree(ROOT / "docs" / "api", into / "api")
    places = pages()
    for source, place in places.items():
        page = into / place
        page.parent.mkdir(exist_ok=True)
        page.write_text(_linked(source, place, places), encoding="utf-8")
    with (into / "decisions" / "index.md").open("a", encoding="utf-8") as index:
        index.write(_contents("decisions", places, hidden=True))
    listed = f"# Rules of the linter\n{_contents('rules', places)}"
    (into / "rules" / "index.md").write_text(listed, encoding="utf-8")


def build(site: Path) -> int:
    """Build the site, warnings as errors, and return the exit status of Sphinx."""
    with TemporaryDirectory(prefix="sessionstream-docs-") as directory:
        sources, cache = Path(directory) / "sources", Path(directory) / "cache"
        sources.mkdir()
        lay_out(sources)
        shutil.rmtree(site, ignore_errors=True)
        arguments = ["-b", "html", "-W", "--keep-going", "-q", "-j", "auto", "-d", str(cache), str(sources), str(site)]
        return build_main(arguments)


def _linked(source: Path, place: str, places: dict[Path, str]) -> str:
    """Return the text of a page, its links as they are from there."""

    def link(found: re.Match[str]) -> str:
        before, target, anchor, after = found[1], found[2], found[3] or "", found[4]
        if "://" in target or target.startswith("#"):
            return found[0]
        file = (source.parent / target).resolve()
        if file not in places:
            raise ValueError(f"{source.relative_to(ROOT)}: {target} is no page of the site")
        return f"{before}{'../' * place.count('/')}{places[file]}{anchor}{after}"

    return "".join(part if fenced else _LINK.sub(link, part) for fenced, part in _parts(_text(source)))


def _text(source: Path) -> str:
    """Return the markdown of a file; an entry of the help begins with its title."""
    for entry in doc.entries():
        if source == HELP / entry.section / f"{entry.slug}.md":
            return f"# {entry.title}\n\n{entry.short}\n\n{entry.body}"
    return source.read_text(encoding="utf-8")


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Take a text apart: blocks of code, whose brackets are no links, and what is between them."""
    end = 0
    for block in _FENCED.finditer(text):
        yield False, text[end : block.start()]
        yield True, block[0]
        end = block.end()
    yield False, text[end:]


def _contents(folder: str, places: dict[Path, str], *, hidden: bool = False) -> str:
    """Return a list of the pages of a folder, for people, or for the navigation alone."""
    names = [Path(place).stem for place in places.values() if place.startswith(f"{folder}/")]
    listed = "\n".join(name for name in names if name != "index")
    return f"\n```{{toctree}}\n:maxdepth: 1\n{':hidden:' if hidden else ''}\n\n{listed}\n```\n"


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]).resolve()))
