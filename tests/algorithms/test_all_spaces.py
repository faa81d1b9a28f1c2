"""Every kind of space that gymnasium has: it works, or an error says what was given, expected and to be done."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.errors import UsageError

ALGORITHMS = (DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO)
NUMBER, VECTOR = spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,))
GRAPH = spaces.Graph(node_space=VECTOR, edge_space=None)

#: Observations, and ``None`` where they work, or what their error says to do.
OBSERVATIONS = {
    "vector": (VECTOR, None),
    "double precision": (spaces.Box(-1.0, 1.0, (2,), np.float64), None),
    "matrix": (spaces.Box(-1.0, 1.0, (2, 3)), None),
    "cube": (spaces.Box(-1.0, 1.0, (2, 3, 2)), None),
    "bytes": (spaces.Box(0, 255, (4,), np.uint8), None),
    "integers": (spaces.Box(-5, 5, (2,), np.int64), None),
    "unbounded": (spaces.Box(-np.inf, np.inf, (2,)), None),
    "small image": (spaces.Box(0, 255, (7, 7, 3), np.uint8), None),
    "number": (NUMBER, None),
    "number from elsewhere": (spaces.Discrete(3, start=-1), None),
    "numbers": (spaces.MultiDiscrete([2, 3]), None),
    "numbers from elsewhere": (spaces.MultiDiscrete([2, 3], start=[1, -2]), None),
    "table of numbers": (spaces.MultiDiscrete([[2, 3], [2, 2]]), None),
    "bits": (spaces.MultiBinary(3), None),
    "table of bits": (spaces.MultiBinary([2, 3]), None),
    "dict": (spaces.Dict(a=VECTOR, b=NUMBER, c=spaces.MultiBinary(2), d=spaces.MultiDiscrete([2, 3])), None),
    "dict from elsewhere": (spaces.Dict(a=VECTOR, b=spaces.Discrete(3, start=2)), None),
    "dict with a small image": (spaces.Dict(a=spaces.Box(0, 255, (7, 7, 3), np.uint8), b=NUMBER), None),
    "scalar": (spaces.Box(-1.0, 1.0, ()), "ReshapeObservation"),
    "nothing": (spaces.Box(-1.0, 1.0, (0,)), "TransformObservation"),
    "tuple": (spaces.Tuple([VECTOR, NUMBER]), "FlattenObservation"),
    "text": (spaces.Text(5), "TransformObservation"),
    "sequence": (spaces.Sequence(VECTOR), "TransformObservation"),
    "graph": (GRAPH, "TransformObservation"),
    "one of": (spaces.OneOf([VECTOR, NUMBER]), "TransformObservation"),
    "empty dict": (spaces.Dict(), "something to see"),
    "nested dict": (spaces.Dict(a=spaces.Dict(b=VECTOR)), "FlattenObservation"),
    "tuple in a dict": (spaces.Dict(a=spaces.Tuple([VECTOR])), "FlattenObservation"),
    "text in a dict": (spaces.Dict(a=VECTOR, mission=spaces.Text(5)), "FilterObservation"),
    "scalar in a dict": (spaces.Dict(a=spaces.Box(-1.0, 1.0, ())), "TransformObservation"),
    "key with a dot": (spaces.Dict({"a.b": VECTOR}), "rename it"),
    "key of the task": (spaces.Dict(task=VECTOR, a=VECTOR), None),
    "keys of the task alone": (spaces.Dict(obs=VECTOR), None),
    "reserved key": (spaces.Dict(distral_task=VECTOR), "Rename the key"),
}
ACTIONS = {
    "number": (NUMBER, None),
    "number from elsewhere": (spaces.Discrete(3, start=-1), None),
    "numbers": (spaces.MultiDiscrete([2, 3]), None),
    "numbers from elsewhere": (spaces.MultiDiscrete([2, 3], start=[1, -2]), None),
    "bits": (spaces.MultiBinary(3), None),
    "vector": (VECTOR, None),
    "double precision": (spaces.Box(-1.0, 1.0, (2,), np.float64), None),
    "matrix": (spaces.Box(-1.0, 1.0, (2, 3)), None),
    "unbounded": (spaces.Box(-np.inf, np.inf, (2,)), "RescaleAction"),
    "integers": (spaces.Box(-5, 5, (2,), np.int64), "MultiDiscrete"),
    "table of numbers": (spaces.MultiDiscrete([[2, 3], [2, 2]]), "TransformAction"),
    "table of bits": (spaces.MultiBinary([2, 3]), "TransformAction"),
    "tuple": (spaces.Tuple([VECTOR, NUMBER]), "TransformAction"),
    "dict": (spaces.Dict(a=VECTOR), "TransformAction"),
    "text": (spaces.Text(5), "TransformAction"),
    "sequence": (spaces.Sequence(VECTOR), "TransformAction"),
    "graph": (GRAPH, "TransformAction"),
    "one of": (spaces.OneOf([VECTOR, NUMBER]), "TransformAction"),
}


class AnySpace(gym.Env):
    """Draws observations, takes actions of its space alone, episodes of three steps."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space, self.n_steps = observation_space, action_space, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.n_steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is no element of {self.action_space}"
        self.n_steps += 1
        return self.observation_space.sample(), 1.0, False, self.n_steps == 3, {}


def train(algorithm, observations, actions):
    recurrent, ppo = "Recurrent" in algorithm.__name__, "PPO" in algorithm.__name__
    arguments = {"batch_size": 8, "n_epochs": 1} if ppo else {}
    kwargs = {"lstm_hidden_size": 4} if recurrent else {"net_arch": [4]}
    tasks = {name: partial(AnySpace, observations, actions) for name in ("first", "second")}
    model = algorithm(tasks, n_steps=4, policy_kwargs=kwargs, seed=0, device="cpu", **arguments)
    return model.learn(8)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_observations(algorithm, name):
    space, advice = OBSERVATIONS[name]
    check(partial(train, algorithm, space, NUMBER), space, advice)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", ACTIONS)
def test_actions(algorithm, name):
    space, advice = ACTIONS[name]
    check(partial(train, algorithm, VECTOR, space), space, advice)


def check(run, space, advice):
    if advice is None:
        model = run()
        assert all(parameter.isfinite().all() for parameter in model.policy.parameters())
        return
    with pytest.raises(UsageError) as caught:
        run()
    message = str(caught.value)
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    assert any(str(own) in message for own in (space, *parts)) or "distral_task" in message
    assert "task" in message.lower()
    assert advice in message
