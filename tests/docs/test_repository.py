"""What people look for in a repository: its version, how it is cited, what has changed, what is supported."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ckgit import __version__
from ckgit.formats.yaml.document import read_yaml
from docs.generate import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION = read_yaml((ROOT / "CITATION.cff").read_text()).value


def test_the_citation_is_of_this_version_and_of_the_form_that_is_agreed_on() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    # the schema of Citation File Format 1.2.0, CC-BY-4.0
    jsonschema.Draft7Validator(json.loads((ROOT / "tests/docs/cff-1.2.0.schema.json").read_text())).validate(CITATION)
    assert CITATION["version"] == __version__
    assert CITATION["license"] == PROJECT["project"]["license"]


def test_the_changelog_has_this_version_first_and_none_twice() -> None:
    heads = re.findall(r"^## (\S+) - (unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    versions = [version for version, _ in heads]
    assert versions[0] == __version__
    assert versions == sorted(set(versions), key=lambda version: [int(part) for part in version.split(".")], reverse=True)
    assert [day for _, day in heads[1:]] == sorted((day for _, day in heads[1:]), reverse=True)
    assert "unreleased" not in [day for _, day in heads[1:]]


def test_whatever_names_a_version_names_this_one() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github/workflows").glob("*.yml")]
    pinned = r"(?:ckgit(?:\[\w+\])?==|rev: v)(\d[\w.]*)"
    named = {(page.name, version) for page in pages for version in re.findall(pinned, page.read_text())}
    assert {name for name, _ in named} >= {"experiment-review.yml", "experiment-comment.yml", "hooks.md"}
    assert {version for _, version in named} == {__version__}


def test_what_the_readme_calls_supported_is_what_is_pinned_and_tried() -> None:
    readme = (ROOT / "README.md").read_text()
    pins = {each.name: each for each in map(Requirement, PROJECT["project"]["optional-dependencies"]["run"])}
    for tool in ("torchtune", "inspect-ai"):
        (version,) = set(re.findall(rf"{tool} (\d[\d.]*)", readme))
        assert str(pins[tool].specifier) == f"=={version}"
    (torch,) = set(re.findall(r" torch (\d+\.\d+)", readme))
    assert pins["torch"].specifier.contains(f"{torch}.0")
    tried = re.findall(r'"(3\.\d+)"', (ROOT / ".github/workflows/ci.yml").read_text().partition("steps:")[0])
    assert ", ".join(tried) in readme
    python = "Programming Language :: Python :: "
    assert [each.removeprefix(python) for each in PROJECT["project"]["classifiers"] if each.startswith(python)] == tried
    assert f"python: {json.dumps(tried)}\n" in (ROOT / ".github/workflows/publish.yml").read_text()


def release(folder: Path, tag: str) -> str:
    """What the check of a tag says of a copy of the repository; empty where it may be published."""
    done = subprocess.run([folder / ".ci/release", tag], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr.strip()


def test_a_tag_is_published_only_where_all_that_names_its_version_agrees(tmp_path: Path) -> None:
    texts = {name: (ROOT / name).read_text() for name in (".ci/release", "ckgit/__init__.py", "CITATION.cff")}
    texts["CHANGELOG.md"] = f"# Changelog\n\n## {__version__} - 2026-12-01\n"

    def copy(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    for name, text in texts.items():
        copy(name, text)
    assert release(tmp_path, f"v{__version__}") == ""
    assert release(tmp_path, "v9.9.9") == f"the tag is v9.9.9, and ckgit/__init__.py says {__version__}"
    copy("CHANGELOG.md", f"## {__version__} - unreleased\n")
    assert "CHANGELOG.md has no line" in release(tmp_path, f"v{__version__}")
    copy("CHANGELOG.md", texts["CHANGELOG.md"])
    copy("CITATION.cff", "version: 0.0.1\n")
    assert "CITATION.cff has another version" in release(tmp_path, f"v{__version__}")
