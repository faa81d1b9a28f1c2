"""What goes into the files that are published."""

import re
from pathlib import Path

import pytest

builders = pytest.importorskip("hatchling.builders.sdist")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def names():
    if not (ROOT / ".git").exists():
        pytest.skip("of the repository")
    return {file.distribution_path for file in builders.SdistBuilder(str(ROOT)).recurse_included_files()}


def test_runs_of_studies_stay_out(names):
    results = [name for name in names if name.startswith("docs/results/")]
    assert {Path(name).suffix for name in results} <= {".md", ".png", ".gif"}
    assert len(names) < 800


def test_what_the_readme_shows_and_links_is_there(names):
    paths = re.findall(r"\]\((?!http)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert paths
    assert set(paths) <= names


def test_the_package_its_tests_and_studies_are_there(names):
    expected = {"sb3_distral/py.typed", "tests/conftest.py", "experiments/__init__.py", "Makefile", "constraints.txt"}
    assert expected | {"LICENSE", "CHANGELOG.md"} <= names
