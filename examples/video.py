"""A film of all tasks side by side, by Stable-Baselines3's VecVideoRecorder (needs moviepy)."""

from pathlib import Path

from stable_baselines3.common.vec_env import VecVideoRecorder

from sb3_distral import DistralA2C, tasks


def main(folder: Path = Path("runs/video"), timesteps: int = 200_000, n_steps: int = 200) -> Path:
    model = DistralA2C(tasks.make("grid-mazes", n_envs_per_task=8, seed=0), seed=0, device="cpu").learn(timesteps)
    env = VecVideoRecorder(
        tasks.make("grid-mazes", seed=1, render_mode="rgb_array"),
        str(folder),
        record_video_trigger=lambda step: step == 0,
        video_length=n_steps,
    )
    observations = env.reset()
    for _ in range(n_steps + 1):
        actions, _ = model.predict(observations)
        observations, _, _, _ = env.step(actions)
    env.close()
    return max(folder.glob("*.mp4"))


if __name__ == "__main__":
    print(main())
