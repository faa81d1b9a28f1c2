"""The zoo's own commands, which find our algorithms, suites and hyperparameters."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import override

from sb3_distral import tasks
from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.ppo import DistralPPO
from sb3_distral.algorithms.recurrent import RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.errors import UsageError
from sb3_distral.zoo import task_sets
from sb3_distral.zoo.samplers import convert_costs, with_costs

try:
    import rl_zoo3
    import rl_zoo3.cli
    import rl_zoo3.train
    from rl_zoo3.exp_manager import ExperimentManager
    from rl_zoo3.hyperparams_opt import HYPERPARAMS_CONVERTER, HYPERPARAMS_SAMPLER
except ImportError as error:
    raise UsageError(
        "The RL Zoo is not installed, or a part that it needs; expected the extra zoo. Install it: "
        "pip install 'sb3-distral[zoo]'"
    ) from error

#: Our algorithms by the names that the zoo has for them, with those of the algorithms underneath.
LEARNERS = {
    "distral_a2c": (DistralA2C, "a2c"),
    "distral_ppo": (DistralPPO, "ppo"),
    "recurrent_distral_a2c": (RecurrentDistralA2C, "a2c"),
    "recurrent_distral_ppo": (RecurrentDistralPPO, "ppo"),
}
HYPERPARAMS = Path(__file__).parent / "hyperparams"


class TaskExperimentManager(ExperimentManager):  # type: ignore[misc]
    """The zoo's experiment manager, where an id may be the name of a suite: then it makes all of its tasks."""

    def __init__(self, args: Any, algo: str, *arguments: Any, config: str | None = None, **named_arguments: Any):
        if config is None and algo in LEARNERS:
            config = str(HYPERPARAMS / f"{algo}.yml")
        super().__init__(args, algo, *arguments, config=config, **named_arguments)

    @override
    def create_envs(self, n_envs: int, eval_env: bool = False, no_log: bool = False) -> VecEnv:
        suite = self.env_name.gym_id
        if suite in tasks.SUITES:
            self.vec_env_class = partial(
                task_sets.make_all_tasks,
                suite=suite,
                seed=self.seed,
                log_folder=None if eval_env or no_log else self.save_path,
                **(self.eval_env_kwargs if eval_env else self.env_kwargs),
            )
        return super().create_envs(n_envs, eval_env, no_log)  # type: ignore[no-any-return]


def main() -> None:
    """Run the command of the zoo that the command line names: train, enjoy, plot_train, plot_from_file, all_plots."""
    task_sets.register()
    for name, (learner, host) in LEARNERS.items():
        rl_zoo3.ALGOS[name] = learner
        HYPERPARAMS_SAMPLER[name] = with_costs(HYPERPARAMS_SAMPLER[host])
        HYPERPARAMS_CONVERTER[name] = convert_costs(HYPERPARAMS_CONVERTER[host])
    rl_zoo3.train.ExperimentManager = TaskExperimentManager
    try:
        rl_zoo3.cli.main()
    except UsageError as error:
        print(f"sb3_distral.zoo: {error}", file=sys.stderr)
        raise SystemExit(2) from error
