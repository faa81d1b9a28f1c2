"""One run: train, and record returns and who is drawn to which distilled policy."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.utils import LinearSchedule
from typing_extensions import override

from experiments.common.curves import EPISODE, N_BINS, RewardRecorder, bin_of
from experiments.families.study import ARMS, SUITE, Run
from experiments.transfer.training import SEED_DISTANCE
from sb3_distral import ALGORITHMS, DistillationCallback, DistralA2C, tasks
from sb3_distral.tasks.grids.families import family_of

#: Family of each task, 0 or 1
Families = npt.NDArray[np.int64]
#: The learning rate, which falls linearly to a sixth.
RATE = 8e-3


class ToldFamilies(DistillationCallback):
    """
    Draw each task to the distilled policy of its family, whatever the returns say.

    :param families: Family of each task, 0 or 1, shape (n_tasks,)
    """

    def __init__(self, families: Families):
        super().__init__()
        self.shares = th.nn.functional.one_hot(th.as_tensor(families), 2).float()

    @override
    def _on_training_start(self) -> None:
        bank = self.model.policy.bank
        assert bank is not None
        # So much that no step makes a difference.
        bank.evidence.copy_(1e6 * self.shares)
        bank.responsibilities.data.copy_(self.shares)


class FamilyRecorder(RewardRecorder):
    """
    Record the tasks' own rewards and the agreement of responsibilities with families, in bins of training steps.

    :param timesteps: Steps of the run, all tasks together
    :param families: Family of each task, shape (n_tasks,)
    """

    def __init__(self, timesteps: int, families: Families):
        super().__init__(timesteps, len(families))
        self.families = families
        self.agreement = np.zeros(N_BINS)

    @override
    def _on_step(self) -> bool:
        place = bin_of(self.num_timesteps, self.timesteps)
        best = self.model.responsibilities.argmax(axis=1)  # type: ignore[attr-defined]
        share = float((best == self.families).mean())
        # Components have no names of their own.
        self.agreement[place] = max(share, 1.0 - share)
        return super()._on_step()


def do_run(run: Run) -> dict[str, Any]:
    """
    Do one run.

    :param run: The run
    :return: For JSON the mean return over tasks by bin (``curve``) and, at the end of each bin, the share of the tasks
        whose best distilled policy is that of their family (``agreement``)
    """
    th.set_num_threads(1)
    arm = ARMS[run.arm]
    families = np.array([family_of(task, arm.n_families, run.seed) for task in range(run.n_tasks)], dtype=np.int64)
    model = DistralA2C(
        tasks.make(SUITE, run.n_envs_per_task, n_tasks=run.n_tasks, n_families=arm.n_families, maze_seed=run.seed),
        learning_rate=LinearSchedule(RATE, RATE / 6, 1.0),
        seed=SEED_DISTANCE * run.seed,
        device="cpu",
        n_distilled=arm.n_distilled,
        **ALGORITHMS[arm.algorithm],
    )
    recorder = FamilyRecorder(run.timesteps, families)
    model.learn(run.timesteps, callback=[recorder, *([ToldFamilies(families)] if arm.is_told else [])])
    assert tasks.SUITES[SUITE].max_episode_steps == EPISODE
    return {
        "curve": recorder.curves().mean(axis=0).round(3).tolist(),
        "agreement": recorder.agreement.round(3).tolist(),
    }
