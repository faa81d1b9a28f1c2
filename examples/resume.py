"""Going on: a training that may be killed at any moment and started again with the same command."""

from pathlib import Path

from sb3_distral import DistralA2C, RolloutCheckpointCallback, tasks


def main(folder: Path = Path("runs/resume"), timesteps: int = 200_000, save_freq: int = 500) -> DistralA2C:
    env = tasks.make("grid-mazes", n_envs_per_task=8, seed=0)
    found = sorted(folder.glob("mazes_*_steps.zip"), key=lambda file: int(file.stem.split("_")[1]))
    if found:
        model = DistralA2C.load(found[-1], env=env, device="cpu")
    else:
        model = DistralA2C(env, learning_rate=2e-3, seed=0, device="cpu")
    # Between roll-outs nothing is lost; save_freq counts steps of all sub-environments at once.
    checkpoints = RolloutCheckpointCallback(save_freq, str(folder), name_prefix="mazes")
    left = timesteps - model.num_timesteps
    if left > 0:
        model.learn(left, callback=checkpoints, reset_num_timesteps=not found)
    return model


if __name__ == "__main__":
    print(main().num_timesteps)
