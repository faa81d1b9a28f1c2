"""What the zoo's Optuna searches beside the hyperparameters of the algorithm underneath."""

from collections.abc import Callable
from typing import Any

Sampler = Callable[[Any, int, int, dict[str, Any]], dict[str, Any]]
Converter = Callable[[dict[str, Any]], dict[str, Any]]


class WithoutBonus:
    """
    A trial of Optuna that leaves the entropy bonus out, whose place c_Ent takes.

    :param trial: The trial
    """

    def __init__(self, trial: Any):
        self._trial = trial

    def __getattr__(self, name: str) -> Any:
        """Give all else of the trial."""
        return getattr(self._trial, name)

    def suggest_float(self, name: str, *args: Any, **kwargs: Any) -> float:
        """
        Suggest a number.

        :param name: What it is for
        :param args: As of :class:`optuna.Trial`
        :param kwargs: As of :class:`optuna.Trial`
        :return: The number; 0 for ``ent_coef``
        """
        return 0.0 if name == "ent_coef" else float(self._trial.suggest_float(name, *args, **kwargs))


def with_costs(host: Sampler) -> Sampler:
    """
    Search α and 1/β with what the zoo searches for the algorithm underneath.

    :param host: The zoo's sampler of that algorithm
    :return: The sampler
    """

    def sample(trial: Any, n_actions: int, n_envs: int, additional_args: dict[str, Any]) -> dict[str, Any]:
        sampled = host(WithoutBonus(trial), n_actions, n_envs, additional_args)
        total_cost = trial.suggest_float("total_cost", 1e-3, 1e-1, log=True)
        return {**sampled, "alpha": trial.suggest_float("alpha", 0.3, 1.0), "beta": 1.0 / total_cost}

    return sample


def convert_costs(host: Converter) -> Converter:
    """
    Read parameters of a finished trial, with which the zoo trains anew (``--trial-id``).

    :param host: The zoo's converter of the algorithm underneath
    :return: The converter
    """

    def convert(sampled: dict[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in sampled.items() if name != "total_cost"}
        return {**host(own), "beta": 1.0 / sampled["total_cost"]}

    return convert
