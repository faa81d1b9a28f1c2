"""
ONNX: π0 and the policies of tasks, run by onnxruntime without PyTorch.

A policy of Stable-Baselines3 gives its actions, its value and their log-probability; what is
exported gives the likeliest action.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch as th
from stable_baselines3.common.policies import BasePolicy

from sb3_distral import DistralA2C, tasks


class Acting(th.nn.Module):
    """
    The likeliest actions of a policy as a module of one input.

    :param policy: π0 or a task's policy
    """

    def __init__(self, policy: BasePolicy):
        super().__init__()
        self.policy = policy

    def forward(self, observation: th.Tensor) -> th.Tensor:
        return self.policy._predict(observation, deterministic=True)


def export(policy: BasePolicy, path: Path) -> onnxruntime.InferenceSession:
    policy = policy.to("cpu").eval()
    example = th.zeros((1, *policy.observation_space.shape))
    names: dict[str, Any] = {"input_names": ["observation"], "output_names": ["action"]}
    th.onnx.export(Acting(policy), (example,), path, dynamo=False, dynamic_axes={"observation": {0: "batch"}}, **names)
    return onnxruntime.InferenceSession(path)


def main(folder: Path = Path("runs/onnx"), timesteps: int = 50_000) -> dict[str, int]:
    """Export π0 and a task policy of each architecture, and count observations on which they act differently."""
    folder.mkdir(parents=True, exist_ok=True)
    differing = {}
    for architecture in ("shared", "one_column", "two_columns"):
        env = tasks.make("grid-mazes", n_envs_per_task=8, seed=0)
        model = DistralA2C(env, architecture=architecture, seed=0, device="cpu").learn(timesteps)
        observations = np.asarray(env.reset()["obs"], dtype=np.float32)
        for name, policy in {"pi0": model.distilled_policy, "maze-3": model.task_policy("maze-3")}.items():
            session = export(policy, folder / f"{architecture}-{name}.onnx")
            (actions,) = session.run(None, {"observation": observations})
            expected, _ = policy.predict(observations, deterministic=True)
            differing[f"{architecture}, {name}"] = int((actions.ravel() != expected).sum())
    return differing


if __name__ == "__main__":
    print(main())
