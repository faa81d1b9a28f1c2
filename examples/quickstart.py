"""
Eight mazes learn together in about a minute; then see what the distilled policy knows.

Writes into ``runs/quickstart``: the trained model, the learning curves and the paths of the agents.
"""

from collections import deque
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
import tyro
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.policies import BasePolicy

from sb3_distral import ALGORITHMS, DistilledPredictor, DistralA2C, TaskEvalCallback, evaluate_tasks, tasks

SEED = 0
#: Seed of the mazes that are trained on, and of the eight that no agent ever trains on.
TRAINING_MAZES, UNSEEN_MAZES = 0, 1
N_EVALUATIONS = 16

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
#: Time along a path; the palest end of the map would vanish on a light floor.
TIME_COLOURS = ListedColormap(plt.get_cmap("plasma")(np.linspace(0, 0.88, 256)))

Cell = tuple[int, int]


def make_suite(maze_seed: int, n_envs_per_task: int, seed: int) -> Any:
    """
    :param maze_seed: Which eight mazes
    :param n_envs_per_task: Copies of each
    :param seed: Seed of the starting cells
    :return: The mazes as one environment
    """
    return tasks.make("grid-mazes", n_envs_per_task=n_envs_per_task, seed=seed, maze_seed=maze_seed)


def train(total_timesteps: int) -> tuple[DistralA2C, TaskEvalCallback, TaskEvalCallback]:
    """
    :param total_timesteps: Steps of all mazes together
    :return: The trained model, and its evaluations on training and on unseen mazes
    """
    env = make_suite(TRAINING_MAZES, n_envs_per_task=8, seed=SEED)
    eval_freq = max(1, total_timesteps // (N_EVALUATIONS * env.num_envs))
    on_training, on_unseen = (
        TaskEvalCallback(make_suite(mazes, n_envs_per_task=4, seed=100), 4, eval_freq, name=name)
        for mazes, name in ((TRAINING_MAZES, "training_mazes"), (UNSEEN_MAZES, "unseen_mazes"))
    )
    model = DistralA2C(env, learning_rate=2e-3, seed=SEED, device="cpu", **ALGORITHMS["KL+ent_2col"])
    model.learn(total_timesteps, callback=CallbackList([on_training, on_unseen]), progress_bar=True)
    return model, on_training, on_unseen


def evaluate(model: DistralA2C) -> dict[str, np.ndarray]:
    """
    :param model: The trained model
    :return: By column of the table, the mean return of 16 episodes in each maze, shape (n_tasks,)
    """
    untrained = DistralA2C(model.get_env(), seed=SEED, device="cpu").distilled_policy
    policies: dict[str, Any] = {
        "task policy": model,
        "π0": DistilledPredictor(model.distilled_policy),
        "untrained": DistilledPredictor(untrained),
    }
    columns = {}
    for place, maze_seed in (("training", TRAINING_MAZES), ("unseen", UNSEEN_MAZES)):
        for name, policy in policies.items():
            returns = evaluate_tasks(policy, make_suite(maze_seed, n_envs_per_task=8, seed=200), n_eval_episodes=16)
            columns[f"{name},\n{place}"] = np.array([np.mean(episodes) for episodes in returns.values()])
    return columns


def print_table(columns: dict[str, np.ndarray]) -> None:
    """
    :param columns: Returns of each maze, by column
    """
    table = Table(title="Goals found in an episode of 200 steps, in eight training and eight unseen mazes")
    table.add_column("maze")
    for heading in columns:
        table.add_column(heading, justify="right")
    for maze, row in enumerate(zip(*columns.values(), strict=True)):
        table.add_row(str(maze), *(f"{value:.1f}" for value in row))
    table.add_section()
    table.add_row("mean", *(f"{values.mean():.2f}" for values in columns.values()))
    Console().print(table)


def curve(callback: TaskEvalCallback, policy: str) -> tuple[np.ndarray, np.ndarray]:
    """
    :param callback: Evaluations
    :param policy: ``"tasks"`` or ``"distilled"``
    :return: Training steps, shape (n_evaluations,), and mean returns, shape (n_evaluations, n_tasks)
    """
    steps = np.array([result["timesteps"] for result in callback.results])
    returns = [[np.mean(episodes) for episodes in result[policy].values()] for result in callback.results]
    return steps, np.array(returns)


def plot_curves(on_training: TaskEvalCallback, on_unseen: TaskEvalCallback, untrained: float, path: Path) -> None:
    """
    :param on_training: Evaluations on training mazes
    :param on_unseen: Evaluations on unseen mazes
    :param untrained: Mean return of an untrained policy
    :param path: File to write
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    curves = (
        ("task policies, each in its maze", BLUE, "-", curve(on_training, "tasks")),
        ("π0 in the training mazes", ORANGE, "--", curve(on_training, "distilled")),
        ("π0 in unseen mazes", GREEN, "-.", curve(on_unseen, "distilled")),
    )
    for label, colour, style, (steps, returns) in curves:
        thousands = steps / 1000
        axes.fill_between(thousands, returns.min(axis=1), returns.max(axis=1), color=colour, alpha=0.15, linewidth=0)
        axes.plot(thousands, returns.mean(axis=1), color=colour, linestyle=style, linewidth=2.2, label=label)
    axes.axhline(untrained, color=GREY, linestyle=":", linewidth=1.8, label="untrained policy")
    axes.set(
        xlabel="training steps of all eight mazes together (thousands)",
        ylabel="return of an episode\n(goals found in 200 steps)",
        xlim=(0, None),
        ylim=(0, None),
        title="Eight mazes trained together: mean (line) and range (band) over mazes",
    )
    axes.title.set_fontsize(11)
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def distances(walls: np.ndarray, goal: Cell) -> dict[Cell, int]:
    """
    :param walls: ``bool``, shape (height, width)
    :param goal: (row, column)
    :return: Length of the shortest path to the goal from every free cell
    """
    found, queue = {goal: 0}, deque([goal])
    while queue:
        row, column = queue.popleft()
        for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if not walls[cell] and cell not in found:
                found[cell] = found[row, column] + 1
                queue.append(cell)
    return found


def follow(policy: BasePolicy, env: Any, seed: int, max_steps: int = 60) -> tuple[list[Cell], bool]:
    """
    :param policy: Any policy on plain observations
    :param env: One maze
    :param seed: Seed of the starting cell
    :param max_steps: When to give up
    :return: The cells visited, and whether the last one is the goal
    """
    observation, _ = env.reset(seed=seed)
    cells = [env.unwrapped.position]
    for _ in range(max_steps):
        action, _ = policy.predict(observation)
        observation, reward, _, _, _ = env.step(action)
        if reward > 0:
            return [*cells, env.unwrapped.goal], True
        cells.append(env.unwrapped.position)
    return cells, False


def far_start(env: Any, to_goal: dict[Cell, int]) -> int:
    """
    :param env: One maze
    :param to_goal: Distance of each cell to the goal
    :return: The seed, of the first twenty, whose starting cell is farthest from the goal
    """

    def distance(seed: int) -> int:
        env.reset(seed=seed)
        return to_goal[env.unwrapped.position]

    return max(range(20), key=distance)


def draw_path(axes: Axes, title: str, policy: BasePolicy, maze: int, maze_seed: int) -> LineCollection:
    """
    :param axes: Where to draw
    :param title: Who acts where
    :param policy: The policy that acts
    :param maze: Index of the maze
    :param maze_seed: Training or unseen mazes
    :return: The path, coloured by time
    """
    env: Any = gym.make(f"sb3_distral/GridMaze-{maze}-v0", maze_seed=maze_seed)
    env.reset(seed=0)
    walls, goal = env.unwrapped.walls, env.unwrapped.goal
    to_goal = distances(walls, goal)
    cells, reached = follow(policy, env, far_start(env, to_goal))
    shortest = to_goal[cells[0]]
    # A small offset that turns with time keeps passages through the same cell apart.
    angle = np.arange(len(cells)) * 2.4
    points = np.array([(column, row) for row, column in cells]) + 0.13 * np.stack([np.cos(angle), np.sin(angle)], 1)
    axes.imshow(np.where(walls, 0.28, 0.97), cmap="gray", vmin=0, vmax=1)
    line = LineCollection(list(np.stack([points[:-1], points[1:]], axis=1)), cmap=TIME_COLOURS, linewidths=2.4)
    line.set_array(np.arange(len(points) - 1))
    line.set_clim(0, 60)
    axes.add_collection(line)
    axes.plot(*points[0], "o", color="white", markeredgecolor="black", markersize=11, label="start")
    axes.plot(goal[1], goal[0], "*", color=GREEN, markeredgecolor="black", markersize=18, label="goal")
    outcome = f"goal after {len(cells) - 1} steps" if reached else f"no goal in {len(cells) - 1} steps"
    axes.set_title(f"{title}\n{outcome} (shortest path: {shortest})", fontsize=11)
    axes.set(xticks=[], yticks=[])
    return line


def plot_paths(model: DistralA2C, path: Path) -> None:
    """
    :param model: The trained model
    :param path: File to write
    """
    th.manual_seed(SEED)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), layout="constrained")
    draw_path(axes[0], "Task policy in its maze", model.task_policy(0), 0, TRAINING_MAZES)
    draw_path(axes[1], "π0 in the same maze", model.distilled_policy, 0, TRAINING_MAZES)
    line = draw_path(axes[2], "π0 in an unseen maze", model.distilled_policy, 0, UNSEEN_MAZES)
    figure.colorbar(line, ax=axes, label="step", shrink=0.8, pad=0.01)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(total_timesteps: int = 512_000, folder: Path = Path("runs/quickstart")) -> None:
    """
    Train on eight mazes, save the model, print a table of returns and draw two figures.

    :param total_timesteps: Steps of all mazes together
    :param folder: Where the model and the figures go
    """
    # The networks are small: more threads would only wait for each other.
    th.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    model, on_training, on_unseen = train(total_timesteps)
    model.save(folder / "model.zip")
    columns = evaluate(model)
    print_table(columns)
    plot_curves(on_training, on_unseen, float(columns["untrained,\nunseen"].mean()), folder / "learning_curves.png")
    plot_paths(model, folder / "paths.png")
    print(f"Wrote model.zip, learning_curves.png and paths.png into {folder}.")


if __name__ == "__main__":
    plt.switch_backend("agg")
    tyro.cli(main)
