"""Costs: another β for each task, an α that falls in the course of the training, and costs that follow targets."""

from stable_baselines3.common.utils import LinearSchedule

from sb3_distral import CostController, DistralA2C, tasks


def main(timesteps: int = 100_000) -> dict[str, dict[str, list[float]]]:
    choices = {
        "by task": {"beta": [30.0] * 4 + [300.0] * 4},
        "annealed": {"alpha": LinearSchedule(1.0, 0.5, end_fraction=1.0)},
        "controlled": {"beta": CostController(beta=100, target_kl=0.1)},
    }
    return {name: final_costs(timesteps, **choice) for name, choice in choices.items()}


def final_costs(timesteps: int, **choice: object) -> dict[str, list[float]]:
    """Give what a nat of divergence and of entropy costs each task in the end."""
    suite = tasks.make("grid-mazes", n_envs_per_task=8, seed=0)
    model = DistralA2C(suite, learning_rate=4e-3, seed=0, device="cpu", **choice).learn(timesteps)
    return {"c_KL": model.costs.kl.tolist(), "c_Ent": model.costs.entropy.tolist()}


if __name__ == "__main__":
    for name, costs in main().items():
        print(name, {cost: [round(value, 4) for value in own] for cost, own in costs.items()})
