"""The learning curves of a training, kept beside its model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from typing_extensions import override

from sb3_distral import TaskEvalCallback
from sb3_distral.files import atomic_write

LOG = "evaluations.json"


def read_log(training: Path) -> dict[str, list[Any]]:
    """
    Read the evaluations of a training that may have been interrupted and gone on.

    :param training: Folder of the training
    :return: Steps that were done when it began and when it went on (``begun_at``), and for each evaluation
        (``evaluations``) its ``timesteps`` and mean returns by task of the task policies (``tasks``) and of π0
        (``distilled``)
    """
    path = training / LOG
    if not path.exists():
        return {"begun_at": [], "evaluations": []}
    log: dict[str, list[Any]] = json.loads(path.read_text(encoding="utf-8"))
    return log


class EvaluationLog(BaseCallback):
    """
    Write what the evaluations of a training give into its folder, as they come.

    :param evaluation: The callback that evaluates, which is called before this one
    :param training: Folder of the training
    """

    def __init__(self, evaluation: TaskEvalCallback, training: Path):
        super().__init__()
        self.evaluation, self.training, self.n_written = evaluation, training, 0

    @override
    def _on_training_start(self) -> None:
        log, start = read_log(self.training), self.num_timesteps
        # What came after the checkpoint that the training goes on from is done again.
        evaluations = [own for own in log["evaluations"] if own["timesteps"] <= start]
        self._write({"begun_at": [*log["begun_at"], start], "evaluations": evaluations})

    @override
    def _on_step(self) -> bool:
        new = self.evaluation.results[self.n_written :]
        if new:
            log = read_log(self.training)
            self._write({**log, "evaluations": [*log["evaluations"], *map(_means, new)]})
            self.n_written += len(new)
        return True

    def _write(self, log: dict[str, list[Any]]) -> None:
        with atomic_write(self.training / LOG) as beside:
            beside.write_text(json.dumps(log) + "\n", encoding="utf-8")


def _means(evaluation: dict[str, Any]) -> dict[str, Any]:
    means = {
        policy: {task: round(float(np.mean(returns)), 3) for task, returns in evaluation[policy].items()}
        for policy in ("tasks", "distilled")
    }
    return {"timesteps": evaluation["timesteps"], **means}
