"""Links of README.md and the pages in docs lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKS = sorted(
    {
        (str(page.relative_to(ROOT)), path)
        for page in (
            ROOT / "README.md",
            ROOT / "CONTRIBUTING.md",
            *(ROOT / "docs").glob("*.md"),
            *(ROOT / "docs" / "api").glob("*.md"),
        )
        for path in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("page", "path"), LINKS)
def test_links_lead_somewhere(page: str, path: str) -> None:
    assert ((ROOT / page).parent / path).exists()
