"""The policy of a task as a model of Stable-Baselines3, also where this package cannot be imported."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from helpers import randomize
from integration.toys import Toy
from stable_baselines3 import A2C, PPO

from sb3_distral import ALGORITHMS, DistralA2C, DistralPPO, plain_model

TASKS = {"left": partial(Toy, n_actions=3), "right": partial(Toy, n_actions=3)}
# A finder that comes first and refuses the package, so that neither a module nor a pickle can have it.
WITHOUT_THE_PACKAGE = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sb3_distral":
            raise ImportError(name)

sys.meta_path.insert(0, Refusing())
import numpy as np, stable_baselines3
host, folder = sys.argv[1:]
model = getattr(stable_baselines3, host).load(f"{folder}/plain.zip")
observations = np.load(f"{folder}/observations.npy")
np.save(f"{folder}/actions.npy", model.predict(observations, deterministic=True)[0])
assert not any(name.startswith("sb3_distral") for name in sys.modules)
"""


@pytest.mark.parametrize(("algorithm", "host"), [(DistralA2C, A2C), (DistralPPO, PPO)])
def test_a_task_of_two_columns_acts_where_this_package_cannot_be_imported(algorithm, host, tmp_path):
    model = algorithm(TASKS, seed=0)
    randomize(model.policy)
    plain = plain_model(model, "right")
    assert type(plain) is host
    plain.save(tmp_path / "plain.zip")
    observations = np.random.default_rng(0).uniform(size=(50, 3)).astype(np.float32)
    np.save(tmp_path / "observations.npy", observations)
    command = [sys.executable, "-c", WITHOUT_THE_PACKAGE, host.__name__, str(tmp_path)]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=120)
    expected = model.task_policy("right").predict(observations, deterministic=True)[0]
    assert len(set(expected)) > 1  # else any policy would do
    assert np.array_equal(np.load(tmp_path / "actions.npy"), expected)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_of_table_1_trains_on_as_its_host(name, tmp_path):
    model = DistralA2C(TASKS, seed=0, **ALGORITHMS[name]).learn(40)
    plain_model(model, 0).save(tmp_path / "plain.zip")
    A2C.load(tmp_path / "plain.zip", env=Toy(n_actions=3)).learn(40)
