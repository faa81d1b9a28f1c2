"""The API reference has every public name, and what is said of this version is said everywhere."""

import re
from pathlib import Path

import sb3_distral

ROOT = Path(__file__).parents[2]


def test_every_public_name_is_in_the_reference_once() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    found = re.findall(r"^\.\. \S+:: sb3_distral\.(\w+)$", pages, flags=re.MULTILINE)
    assert sorted(found) == sorted(set(sb3_distral.__all__) - {"__version__"})


def test_every_function_that_equations_name_exists() -> None:
    page = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    links = re.findall(r"\[`\w+\.(\w+)`\]\(\.\./(sb3_distral/method/\w+\.py)\)", page)
    assert len(links) >= 10
    for name, path in links:
        assert re.search(rf"^(def|class) {name}\b", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE), name


def test_citations_name_this_version() -> None:
    for name in ("CITATION.cff", "docs/cite.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r"^\W*version\s*[:=] \{?([\d.]+\d)", text, flags=re.MULTILINE) == [sb3_distral.__version__]
