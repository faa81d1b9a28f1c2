"""A run as one page of HTML, which needs no other file."""

import json
import zipfile
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from sb3_distral.archives import DAMAGE
from sb3_distral.errors import UsageError, one_line
from sb3_distral.files import atomic_write
from sb3_distral.runs.curves import draw_curves
from sb3_distral.runs.folder import CHECKPOINTS, MODEL, OPTIONS, checkpoints
from sb3_distral.runs.progress import STEPS, Array, by_task, read_progress

REPORT = "report.html"
#: Bytes of what a file says about versions that are read
LONGEST = 65_536
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 1em; }
figure { margin: 0; } figcaption { font-weight: 600; } img { width: 100%; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
th, td { padding: 0.2em 0.9em; border-bottom: 1px solid #ddd; }
th { text-align: left; } td { text-align: right; font-variant-numeric: tabular-nums; }
"""


def write_report(run: Path, path: Path | None = None) -> Path:
    """
    Write the page of a run, finished or not.

    :param run: Folder of a run of ``sb3-distral train``
    :param path: File to write; ``None``: ``report.html`` in the folder
    :return: The file
    :raises UsageError: If it is not the folder of a run that has logged something
    """
    if not (run / OPTIONS).is_file():
        raise UsageError(f"{run} holds no {OPTIONS}; expected the folder of a run of sb3-distral train.")
    columns = read_progress(run)
    options = _read_options(run / OPTIONS)
    path = run / REPORT if path is None else path
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside:
        beside.write_text(_page(run, options, columns), encoding="utf-8")
    return path


def _read_options(path: Path) -> dict[str, object]:
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON ({one_line(error)}); expected the options of a training.") from error
    if not isinstance(options, dict):
        raise UsageError(f"{path} holds {type(options).__name__}; expected the options of a training, an object.")
    return options


def _page(run: Path, options: dict[str, object], columns: dict[str, Array]) -> str:
    title = escape(run.resolve().name)
    figures = [
        f'<figure><figcaption>{escape(name)}</figcaption><img alt="{escape(name)}" src="{_image(figure)}"></figure>'
        for name, figure in draw_curves(columns).items()
    ]
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{escape(_state(run, options, columns))}</p>",
        f'<div class="figures">{"".join(figures)}</div>',
        "<h2>Returns by task</h2>",
        _returns(columns),
        "<h2>Settings</h2>",
        _table([(name, json.dumps(value, ensure_ascii=False)) for name, value in options.items()]),
        "<h2>Versions</h2>",
        _table(_versions(run)) or "<p>There is no model yet that would tell.</p>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return (
        f"<!DOCTYPE html><html lang='en'><head>{head}<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _state(run: Path, options: dict[str, object], columns: dict[str, Array]) -> str:
    steps = int(columns[STEPS][-1])
    planned = options.get("total_timesteps")
    state = "Finished" if (run / MODEL).exists() else "Not finished"
    return (
        f"{state}: {steps:,} of {planned:,} steps logged." if isinstance(planned, int) else f"{state}: {steps:,} steps."
    )


def _image(figure: Figure) -> str:
    buffer = BytesIO()
    # Letters stay text, in a font that the reader has.
    with rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg")
    return f"data:image/svg+xml;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def _returns(columns: dict[str, Array]) -> str:
    kinds = {
        "training": by_task(columns, "rollout/*/ep_rew_mean"),
        "evaluation": by_task(columns, "eval/*/mean_reward"),
        "evaluation of π0": by_task(columns, "eval/*/distilled_mean_reward"),
    }
    kinds = {kind: own for kind, own in kinds.items() if own}
    names = dict.fromkeys(name for own in kinds.values() for name in own)
    rows = [(name, *(_last(own.get(name)) for own in kinds.values())) for name in names]
    return _table(rows, header=["task", *(f"last in {kind}" for kind in kinds)]) or "<p>No episode has ended yet.</p>"


def _last(column: Array | None) -> str:
    known = np.array([]) if column is None else column[np.isfinite(column)]
    return f"{known[-1]:.2f}" if len(known) else "–"


def _versions(run: Path) -> list[tuple[str, str]]:
    files = [file for file in (run / MODEL, *checkpoints(run / CHECKPOINTS)) if file.exists()]
    for file in files:
        try:
            with zipfile.ZipFile(file) as model, model.open("system_info.txt") as part:
                text = part.read(LONGEST).decode("utf-8", errors="replace")
        except DAMAGE:
            continue
        lines = [line.removeprefix("- ").partition(": ") for line in text.splitlines() if ": " in line]
        return [(name, version) for name, _, version in lines]
    return []


def _table(rows: Iterable[tuple[str, ...]], header: Iterable[str] = ()) -> str:
    lines = [_row(f"<th>{escape(name)}</th>", cells) for name, *cells in rows]
    if not lines:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    return f"<table>{_row(head, []) if head else ''}{''.join(lines)}</table>"


def _row(start: str, cells: Iterable[str]) -> str:
    return f"<tr>{start}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
