"""``sb3-distral report``."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from sb3_distral.cli.evaluate import check_matplotlib
from sb3_distral.cli.options import File


@dataclass(kw_only=True)
class Report:
    """
    Write a run, finished or not, as one page of HTML: curves by task, settings, versions. Needs the extra "pictures".

    :param path: Folder of a run
    :param output: File to write; report.html in the folder of the run by default
    """

    path: tyro.conf.Positional[Path]
    output: File = None

    def run(self) -> None:
        """Write the page and say where it is."""
        check_matplotlib("sb3-distral report")
        from sb3_distral.runs.report import write_report

        print(f"Report: {write_report(self.path, self.output)}")
