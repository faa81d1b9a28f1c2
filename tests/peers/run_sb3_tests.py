"""
Run the tests of Stable-Baselines3 and sb3-contrib with one-task Distral algorithms in the place of A2C and PPO.

Their source distributions hold the tests; they are downloaded in the versions that are installed. Prints a table and
every case that fails without being accepted (``accepted.py``), or is accepted and passes; the exit code says whether
there are any.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from accepted import ACCEPTED

HERE = Path(__file__).parent
#: What runs in the place of what, in the tests of which package
RUNS = (
    ("stable_baselines3", {"A2C": "DistralA2C", "PPO": "DistralPPO"}),
    ("sb3_contrib", {"RecurrentPPO": "RecurrentDistralPPO"}),
    ("sb3_contrib", {"RecurrentPPO": "RecurrentDistralA2C"}),
)
EXPLANATION = """\
The tests that Stable-Baselines3 and sb3-contrib ship with their sources, run by `make peers` with one task in the place
of theirs: `DistralA2C` for `A2C`, and so on, with every default of ours. A case counts where it makes a model of that
class and passes with the host itself. While the tests run, the classes bear the names of the hosts (folders of logs),
the policy shows the features extractor of its only task where the tests look for the one of the policy, and
`RecurrentDistralA2C` ignores the three arguments of PPO. Nothing else is adapted; the one test that is marked as slow
is left out. What fails is run once more, since some tests measure time. What failed because something was missing here
is mended; what is left is on the list below.
"""


@dataclass(frozen=True)
class Case:
    """A case of a test, as it ended."""

    name: str
    outcome: str
    algorithms: frozenset[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, help="Markdown page to write, for the documentation")
    parser.add_argument("--keep", type=Path, help="folder for sources and logs, which are thrown away otherwise")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows, faults, used = run_all(folder.resolve())
    table = render(rows)
    print(table, *faults, sep="\n")
    if arguments.page:
        arguments.page.write_text(page(table, used), encoding="utf-8")
    return 1 if faults else 0


def run_all(folder: Path) -> tuple[list[tuple[object, ...]], list[str], set[str]]:
    rows: list[tuple[object, ...]] = []
    faults: list[str] = []
    used: set[str] = set()
    for package in dict.fromkeys(package for package, _ in RUNS):
        sources = unpack(package, folder)
        names = {name: name for own, swaps in RUNS if own == package for name in swaps}
        hosts = {case.name: case for case in run(sources, names, folder / f"{package}-hosts.xml")}
        for swaps in (swaps for own, swaps in RUNS if own == package):
            cases = run_twice(sources, swaps, folder / f"{'-'.join(swaps.values())}.xml")
            for name, stand_in in swaps.items():
                own = [case for case in cases if counts(case, name, hosts)]
                rows.append(summarise(package, name, stand_in, own))
                faults += [f"{stand_in} fails: {case.name}" for case in own if failing(case) and not entries(case)]
                used.update(entry for case in own if failing(case) for entry in entries(case))
                faults += [f"{stand_in} passes, but is accepted: {case.name}" for case in own if stale(case)]
    faults += [f"Accepted, but no case fails: {entry}" for entry in ACCEPTED if entry not in used]
    return rows, faults, used


def counts(case: Case, name: str, hosts: dict[str, Case]) -> bool:
    host = hosts.get(case.name)
    return name in case.algorithms and case.outcome != "skipped" and host is not None and host.outcome == "passed"


def failing(case: Case) -> bool:
    return case.outcome in ("failure", "error")


def stale(case: Case) -> bool:
    return bool(entries(case)) and not failing(case)


def entries(case: Case) -> list[str]:
    """Find the accepted differences of a case: by its own name, or by that of its test."""
    return [entry for entry in (case.name, case.name.partition("[")[0]) if entry in ACCEPTED]


def unpack(package: str, folder: Path) -> Path:
    """Download the sources of a package in the version that is installed, and take its tests out of them."""
    distribution = package.replace("_", "-")
    options = ["--quiet", "--no-binary", ":all:", "--no-deps", "--dest", str(folder)]
    wanted = f"{distribution}=={version(distribution)}"
    subprocess.run([sys.executable, "-m", "pip", "download", *options, wanted], check=True)
    (archive,) = folder.glob(f"{package}-{version(distribution)}.tar.gz")
    with tarfile.open(archive) as sources:
        # Not the package itself, which would be imported instead of the one that is installed.
        wanted_files = [file for file in sources if wants(file.name)]
        sources.extractall(folder, wanted_files, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def wants(name: str) -> bool:
    parts = Path(name).parts[1:]
    return parts[:1] == ("tests",) or parts == ("pyproject.toml",)


def run_twice(sources: Path, swaps: dict[str, str], report: Path) -> list[Case]:
    """Run tests, and once more what failed and may not: some of them measure time, which others may take away."""
    cases = run(sources, swaps, report)
    failed = [case.name for case in cases if failing(case) and not entries(case)]
    again = run(sources, swaps, report.with_suffix(".again.xml"), failed) if failed else []
    return list(({case.name: case for case in cases} | {case.name: case for case in again}).values())


def run(sources: Path, swaps: dict[str, str], report: Path, only: Sequence[str] = ()) -> list[Case]:
    files = [file for file in (sources / "tests").glob("test_*.py") if any(name in file.read_text() for name in swaps)]
    tests = [f"tests/{test}" for test in only or sorted(file.name for file in files)]
    swapped = [option for name, stand_in in swaps.items() for option in ("--swap", f"{name}={stand_in}")]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "--continue-on-collection-errors"]
    command += ["-p", "swapped_classes", "-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={report}"]
    paths = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    with report.with_suffix(".log").open("w", encoding="utf-8") as log:
        subprocess.run(
            [*command, *swapped, *tests],
            cwd=sources,
            env=os.environ | {"PYTHONPATH": paths},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,  # failures are what is counted
        )
    cases = list(read(report))
    for case in cases:
        if case.outcome == "error" and not case.algorithms:
            print(f"Not run: {case.name}, see the log (--keep)", file=sys.stderr)
    return cases


def read(report: Path) -> Iterator[Case]:
    for case in ElementTree.parse(report).iter("testcase"):
        outcomes = [kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None]
        values = [own.get("value", "") for own in case.iter("property") if own.get("name") == "algorithms"]
        file = case.get("classname", "").rpartition(".")[2]
        names = frozenset(name for value in values for name in value.split())
        yield Case(f"{file}.py::{case.get('name')}", outcomes[0] if outcomes else "passed", names)


def summarise(package: str, name: str, stand_in: str, cases: Sequence[Case]) -> tuple[object, ...]:
    passed = sum(not failing(case) for case in cases)
    accepted = sum(failing(case) and bool(entries(case)) for case in cases)
    tests = f"{package.replace('_', '-')} {version(package.replace('_', '-'))}"
    return tests, f"`{stand_in}` for `{name}`", len(cases), passed, accepted, len(cases) - passed - accepted


def render(rows: Iterable[tuple[object, ...]]) -> str:
    header = ("tests of", "which runs for which", "cases", "pass", "accepted differences", "others")
    lines = [header, ("---",) * 2 + ("---:",) * 4, *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def page(table: str, used: set[str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for entry in ACCEPTED:
        if entry in used:
            by_reason.setdefault(ACCEPTED[entry], []).append(f"`{entry}`")
    reasons = "\n".join(f"- {reason}\n  {', '.join(tests)}" for reason, tests in by_reason.items())
    title = "# Stable-Baselines3's own tests"
    return f"{title}\n\n{EXPLANATION}\n{table}\n\n## Accepted differences\n\n{reasons}\n"


if __name__ == "__main__":
    sys.exit(main())
