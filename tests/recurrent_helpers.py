"""Small recurrent models and tasks."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from helpers import randomize
from torch import nn

from sb3_distral import RecurrentDistralA2C
from sb3_distral.networks.memory import State

HIDDEN_SIZE = 5


class CueTask(gym.Env[np.ndarray, int]):
    """
    A cue at the first step, which says what the right action at the last one is; nothing in between.

    :param answers: The right action for each cue
    :param delay: Steps between cue and answer
    """

    def __init__(self, answers: tuple[int, int] = (0, 1), delay: int = 3):
        self.answers, self.delay = answers, delay
        self.observation_space = spaces.Box(0.0, 1.0, (3,), np.float32)
        self.action_space = spaces.Discrete(2)

    def _observe(self) -> np.ndarray:
        observation = np.zeros(3, dtype=np.float32)
        if self.n_steps == 0:
            observation[self.cue] = 1.0
        observation[2] = self.n_steps == self.delay
        return observation

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.cue, self.n_steps = int(self.np_random.integers(2)), 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        asked = self.n_steps == self.delay
        reward = 0.0 if not asked else 1.0 if action == self.answers[self.cue] else -1.0
        self.n_steps += 1
        return self._observe(), reward, asked, False, {}


def recurrent(tasks: Any, algorithm: Any = RecurrentDistralA2C, **arguments: Any) -> Any:
    """A small model; its weights are far from the nearly uniform policies that initial weights give."""
    defaults = {"policy_kwargs": {"lstm_hidden_size": HIDDEN_SIZE}, "seed": 0, "device": "cpu", "n_steps": 6}
    model = algorithm(tasks, **(defaults | arguments))
    randomize(model.policy)
    return model


def lstm_written_out(lstm: nn.LSTM, inputs: th.Tensor, state: State, starts: th.Tensor) -> tuple[th.Tensor, State]:
    """
    One sequence, step by step and layer by layer, from the definition of an LSTM.

    :param inputs: Shape (n_steps, n_features)
    :param state: Shape (n_layers, hidden_size) each
    :param starts: Whether an episode begins, shape (n_steps,)
    """
    hidden, cell = list(state[0]), list(state[1])
    outputs = []
    for row, start in zip(inputs, starts, strict=True):
        for layer in range(lstm.num_layers):
            if start:
                hidden[layer], cell[layer] = th.zeros_like(hidden[layer]), th.zeros_like(cell[layer])
            parameters = [
                getattr(lstm, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            weight_ih, weight_hh, bias_ih, bias_hh = parameters
            gates = weight_ih @ row + bias_ih + weight_hh @ hidden[layer] + bias_hh
            input_gate, forget_gate, candidate, output_gate = gates.view(4, -1)
            cell[layer] = th.sigmoid(forget_gate) * cell[layer] + th.sigmoid(input_gate) * th.tanh(candidate)
            hidden[layer] = th.sigmoid(output_gate) * th.tanh(cell[layer])
            row = hidden[layer]
        outputs.append(row)
    return th.stack(outputs), (th.stack(hidden), th.stack(cell))


def random_state(n_layers: int, n_sequences: int, hidden_size: int = HIDDEN_SIZE) -> State:
    return th.randn(n_layers, n_sequences, hidden_size), th.randn(n_layers, n_sequences, hidden_size)


def cue_tasks() -> list[Callable[[], CueTask]]:
    return [CueTask, lambda: CueTask(answers=(1, 0))]
