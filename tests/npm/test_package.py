"""The npm package: what it says of itself, what it ships, and a project that installs it."""

from __future__ import annotations

import gzip
import json
import tarfile
from importlib import metadata
from typing import Any

import pytest

from sessionstream.serving.files import CLIENT

from .conftest import PACKAGE, Project

CORE_BYTES = 6_300
"""Of `connect` in a bundle, minified and gzipped."""
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


def test_publint_and_attw_find_nothing(project: Project) -> None:
    assert "All good!" in project.run("publint", "--strict", project.tarball)
    project.run("attw", project.tarball, "--profile", "esm-only")


@pytest.mark.parametrize("folder", [".", "untyped"])
def test_the_project_compiles_strictly(project: Project, folder: str) -> None:
    project.run("tsc", "--project", project.folder / folder)


def test_the_core_stays_small(project: Project) -> None:
    page = project.folder / "core.js"
    page.write_text('export { connect } from "sessionstream";\n', "utf-8")
    minified = project.run("esbuild", page, "--bundle", "--minify", "--format=esm")
    assert 2_000 < len(gzip.compress(minified.encode(), 9)) <= CORE_BYTES
