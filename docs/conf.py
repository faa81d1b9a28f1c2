"""Settings of the documentation site, which ``make docs`` builds of the pages in this folder."""

import re
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

import sb3_distral

ROOT = Path(__file__).parents[1]

project = "sb3-distral"
copyright = "the sb3-distral developers"
version = release = sb3_distral.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx-mathjax-offline"]
exclude_patterns = ["_build", "results/mazes/returns.md"]  # a table without a title
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

# The docstrings say what is given. Annotations of attributes would take the place of those of parameters.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
# Types of other libraries, whose documentation is not asked for while the site is built, and those inside the rooms.
nitpick_ignore_regex = [("py:.*", r"(?!sb3_distral).*"), ("py:.*", r"sb3_distral\.(?!method\.).*|.*\.Array")]

html_theme = "furo"
html_title = f"sb3-distral {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False

#: Pages that are files of the repository's root, which links name in another way from there.
ROOT_FILES = {"index": "README.md", "changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}
#: A link to a function in the source, which on the site is one to the reference.
SOURCE_LINK = re.compile(r"\[`[\w.]*?(\w+)`\]\(\.\./(sb3_distral/[\w/]+)\.py\)")


def read_page(app: Any, page: str, source: list[str]) -> None:
    """
    Put files of the root into their pages, and let links to the source of a function lead to the API reference.

    :param app: The application
    :param page: Name of the page
    :param source: Its text, which is replaced
    """
    if page in ROOT_FILES:
        path = ROOT / ROOT_FILES[page]
        app.env.note_dependency(str(path))
        source[0] = seen_from_docs(path.read_text(encoding="utf-8")) + source[0].partition("<!-- root -->")[2]
    source[0] = SOURCE_LINK.sub(lambda link: f"{{py:obj}}`~{link[2].replace('/', '.')}.{link[1]}`", source[0])


def seen_from_docs(text: str) -> str:
    """
    Let the links of a file in the root lead to the same places from here.

    :param text: The text of the file
    :return: The same with other links
    """
    for page, name in ROOT_FILES.items():
        text = text.replace(f"]({name})", f"]({page}.md)")
    return text.replace("](docs/", "](").replace("](LICENSE)", "](../LICENSE)")


def escape_bars(app: Any, what: str, name: str, owner: Any, options: Any, lines: list[str]) -> None:
    """
    Keep the bar of π(a|s) in docstrings from being markup.

    :param app: The application
    :param what: Kind of the object
    :param name: Its name
    :param owner: The object
    :param options: Options of the directive
    :param lines: Lines of its docstring, which are replaced
    """
    lines[:] = [re.sub(r"(?<=[a·π])\|(?=s)", r"\|", line) for line in lines]


def setup(app: Any) -> None:
    """
    Tell Sphinx what is done to pages and docstrings.

    :param app: The application
    """
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", escape_bars)
    app.add_lexer("mermaid", TextLexer)
