"""The npm package: what it says of itself, what it ships, and a project that installs it."""

from __future__ import annotations

import gzip
import json
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from sessionstream.serving.files import CLIENT

from .project import PACKAGE, Project

SIZES = {
    'export { connect } from "sessionstream"': 6_000,
    'export { connect } from "sessionstream"; export { Store } from "sessionstream/store"': 8_000,
    'export { connect } from "sessionstream"; export { Store } from "sessionstream/store"; '
    'export * from "sessionstream/react"': 8_450,
    'export { updates } from "sessionstream/store"': 450,
}
"""The most bytes of what a page imports, in a bundle, minified and gzipped, without React."""
MANIFEST: dict[str, Any] = json.loads((PACKAGE / "package.json").read_text("utf-8"))


def test_both_packages_have_one_version_and_one_license() -> None:
    assert MANIFEST["version"] == metadata.version("sessionstream")
    assert (PACKAGE / "LICENSE").read_bytes() == (PACKAGE.parent / "LICENSE").read_bytes()


def test_the_python_package_holds_the_same_files() -> None:
    names = {"package.json", *MANIFEST["files"]}
    assert {each.name for each in CLIENT.iterdir()} == names
    for name in names:
        assert (CLIENT / name).read_bytes() == (PACKAGE / name).read_bytes(), name


def test_the_tarball_has_what_the_manifest_says(project: Project) -> None:
    with tarfile.open(project.tarball) as archive:
        packed = {name.removeprefix("package/") for name in archive.getnames()}
    assert packed == {"package.json", "README.md", "LICENSE", *MANIFEST["files"]}
    exported = [path for entry in MANIFEST["exports"].values() if isinstance(entry, dict) for path in entry.values()]
    assert {path.removeprefix("./") for path in exported} <= packed


def test_nothing_is_wrong_with_what_npm_would_publish(project: Project) -> None:
    assert "All good!" in project.run("publint", "--strict", project.tarball)
    project.run("attw", project.tarball, "--profile", "esm-only")
    warnings = [line for line in project.publish().splitlines() if line.startswith("npm warn publish")]
    assert [line for line in warnings if "requires you to be logged in" not in line] == []


def test_the_package_is_used_without_types_of_an_application(project: Project) -> None:
    project.run("tsc", "--project", project.folder / "untyped")


@pytest.mark.parametrize("imports", SIZES)
def test_a_bundle_stays_small(project: Project, tmp_path: Path, imports: str) -> None:
    page = project.folder / f"{tmp_path.name}.js"
    page.write_text(f"{imports};\n", "utf-8")
    minified = project.run("esbuild", page, "--bundle", "--minify", "--format=esm", "--external:react")
    assert SIZES[imports] * 0.8 < len(gzip.compress(minified.encode(), 9)) <= SIZES[imports]
