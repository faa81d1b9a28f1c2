"""``claims.md`` of the study."""

from functools import partial
from pathlib import Path

from experiments.common.claims import Claim, interval_text, number_text
from experiments.common.curves import LAST_BINS, N_BINS
from experiments.common.pages import claims_table, table, write_page
from experiments.common.sweep_pages import HOW_JUDGED
from experiments.common.sweeps import AREA, FINAL, Contrast, Place, Sweep
from experiments.warm_start.study import WAYS, Results, read_results

PAGE = "claims.md"
#: A return of π0 below which it is of no use: that of random actions is about 0.3.
USELESS = 0.5
#: What is listed: name in the results, and in words.
MEASURES = {
    AREA: "Mean return in the course of learning (area)",
    FINAL: f"Final return (last {LAST_BINS} of {N_BINS} bins)",
    "first_entropy": "Entropy of the policy in the first roll-out, in nats (random actions: 1.39)",
    "last_entropy": "Entropy in the last roll-out",
}


def draw_study(folder: Path, output: Path) -> str:
    """
    Write ``claims.md``, from the raw results alone.

    :param folder: Folder of the study, complete or not
    :param output: Folder for the claims
    :return: What was written, in words
    """
    results = read_results(folder)
    write_page(output / PAGE, claims_lines(results))
    return f"{results.sweep.progress}. The claims are in {output / PAGE}."


def groups(results: Results) -> dict[str, tuple[int, ...]]:
    """
    Part the mazes by what π0 is worth there.

    :param results: Results
    :return: Mazes by name of the group
    """
    useless = {maze: own < USELESS for maze, own in results.zero_shot.items()}
    names = {"π0 finds goals": False, "π0 finds none": True}
    return {name: tuple(maze for maze in useless if useless[maze] == value) for name, value in names.items()}


def mean_of(text: str, measure: str, mazes: tuple[int, ...], first: str, second: str = "") -> Contrast:
    """
    Make the mean of a way over mazes, or its difference from another.

    :param text: What it is
    :param measure: What is measured
    :param mazes: The mazes
    :param first: A way
    :param second: Another, which is subtracted; none if empty
    :return: The number, seed by seed
    """
    weights = {Place(maze, first): 1 / len(mazes) for maze in mazes}
    weights |= {Place(maze, second): -1 / len(mazes) for maze in mazes if second}
    return Contrast(text, measure, weights)


def claims(results: Results) -> tuple[Claim[Sweep], ...]:
    """
    Say what is claimed.

    :param results: Results
    :return: The claims
    """
    useful, useless = groups(results).values()
    of_useful, of_useless = partial(_claim, useful), partial(_claim, useless)
    return (
        of_useful("where π0 finds goals, starting from it has more area than PPO from nothing", "start", "nothing"),
        of_useful("so has the tempered start", "start-tempered", "nothing"),
        of_useful("and the start as it is has more area than the tempered one", "start", "start-tempered"),
        of_useless("where π0 finds none, starting from it has less area than nothing", "nothing", "start"),
        of_useless("the tempered start has more area than the start as it is", "start-tempered", "start"),
        of_useless("the tempered start has as much area as nothing", "start-tempered", "nothing"),
        of_useless("π0 in the reward has as much area as nothing", "prior", "nothing"),
    )


def _claim(mazes: tuple[int, ...], text: str, first: str, second: str) -> Claim[Sweep]:
    return Claim(text, (mean_of(f"area: {first} − {second}", AREA, mazes, first, second),) if mazes else ())


def claims_lines(results: Results) -> list[str]:
    """
    Judge all claims and list what was measured.

    :param results: Results
    :return: Lines of the page, in Markdown
    """
    study, sweep = results.study, results.sweep
    lines = [
        "# A start from π0 under PPO: what was claimed and what came out",
        "",
        f"**{sweep.progress}**: {len(WAYS)} ways in which PPO learns each of {len(study.mazes)} unseen mazes alone, "
        f"{study.timesteps} steps, {study.n_envs} sub-environments. Seeds of which every run is there: "
        f"{len(sweep.seeds)}. π0 is the same for all, from {study.source_timesteps} steps on eight other mazes; it "
        f"finds goals in a maze where its return is at least {USELESS}.",
        "",
        HOW_JUDGED,
        "",
        *claims_table([claim for claim in claims(results) if claim.numbers], sweep),
    ]
    for measure, title in MEASURES.items():
        lines += ["", f"## {title}", "", *_numbers(results, measure)]
    return lines


def _numbers(results: Results, measure: str) -> list[str]:
    parts = {name: mazes for name, mazes in groups(results).items() if mazes}
    rows = []
    for name, way in WAYS.items():
        single = [results.sweep.estimate(measure, Place(maze, name)) for mazes in parts.values() for maze in mazes]
        means = [mean_of("", measure, mazes, name)(results.sweep, 1) for mazes in parts.values()]
        rows.append([name, way.label, *(f"{number_text(own.value)} {interval_text(own)}" for own in (*means, *single))])
    of_maze = [f"maze {maze} (π0: {results.zero_shot[maze]:.2f})" for mazes in parts.values() for maze in mazes]
    columns = ["name", "way", *(f"mean where {name}" for name in parts), *of_maze]
    return table(columns, rows, right=range(2, len(columns)))
