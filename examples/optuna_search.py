"""Optuna: search α, the total cost 1/β and the learning rate; a trial that lags behind is pruned."""

import optuna
from optuna.trial import Trial
from stable_baselines3.common.callbacks import BaseCallback

from sb3_distral import DistralA2C, TaskEvalCallback, tasks


class Pruning(BaseCallback):
    """
    Report each evaluation to Optuna and end a trial that it gives up.

    :param trial: The trial
    :param evaluation: Evaluates, before this callback
    """

    def __init__(self, trial: Trial, evaluation: TaskEvalCallback):
        super().__init__()
        self.trial, self.evaluation, self.n_reported = trial, evaluation, 0

    def _on_step(self) -> bool:
        if len(self.evaluation.results) > self.n_reported:
            self.n_reported += 1
            self.trial.report(self.evaluation.last_mean_reward, self.num_timesteps)
            if self.trial.should_prune():
                raise optuna.TrialPruned
        return True


def main(n_trials: int = 20, timesteps: int = 60_000) -> optuna.Study:
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    study.optimize(lambda trial: mean_return(trial, timesteps), n_trials=n_trials)
    return study


def mean_return(trial: Trial, timesteps: int) -> float:
    env = tasks.make("grid-mazes", n_envs_per_task=8, seed=0)
    evaluation = TaskEvalCallback(
        tasks.make("grid-mazes", n_envs_per_task=2, seed=1), n_eval_episodes=2, eval_freq=timesteps // env.num_envs // 4
    )
    model = DistralA2C(
        env,
        alpha=trial.suggest_float("alpha", 0.3, 1.0),
        beta=1.0 / trial.suggest_float("total_cost", 1e-3, 1e-1, log=True),
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        seed=0,
        device="cpu",
    )
    model.learn(timesteps, callback=[evaluation, Pruning(trial, evaluation)])
    return evaluation.last_mean_reward


if __name__ == "__main__":
    print(main().best_trial.params)
