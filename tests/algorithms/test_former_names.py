"""
Models saved by earlier versions go on as those versions would have.

The files in ``tests/data`` are of the version before policies of several kinds, whose modules lay in one folder::

    def make():
        return tasks.make("grid-mazes", n_envs_per_task=2, seed=0, n_tasks=2)

    common = dict(seed=0, alpha=0.5, beta=30.0)
    model = DistralA2C(make(), policy_kwargs=dict(net_arch=[6]), optimization="alternating", **common)
    model.learn(40)
    model.save("feedforward")
    model.learn(20, reset_num_timesteps=False)
    # feedforward_later.npz: the parameters of model.policy

    model = RecurrentDistralA2C(make(), policy_kwargs=dict(lstm_hidden_size=5), n_steps=5, **common)
    # the same for "recurrent"

    RecurrentDistralA2C(make(), policy_kwargs=dict(lstm_hidden_size=5), seed=0).task_policy(1).save(
        "recurrent_task_policy.pth"
    )

The zip files are packed again, more tightly and without the description of the machine.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch as th

import sb3_distral.tasks
from sb3_distral import DistralA2C, RecurrentDistralA2C
from sb3_distral.policies.recurrent import RecurrentTaskPolicy

# Pickles of NumPy 2 name modules that NumPy 1 does not have, whoever made them.
pytestmark = pytest.mark.skipif(np.__version__ < "2", reason="the files were made with NumPy 2")

DATA = Path(__file__).parents[1] / "data"
LEARNERS = {"feedforward": DistralA2C, "recurrent": RecurrentDistralA2C}


@pytest.mark.parametrize("name", LEARNERS)
def test_an_old_model_trains_on_as_it_did_under_its_own_version(name):
    env = sb3_distral.tasks.make("grid-mazes", n_envs_per_task=2, seed=0, n_tasks=2)
    model = LEARNERS[name].load(DATA / f"{name}.zip", env=env, device="cpu")
    before = {key: own.clone() for key, own in model.policy.state_dict().items()}
    model.learn(20, reset_num_timesteps=False)
    expected, parameters = np.load(DATA / f"{name}_later.npz"), model.policy.state_dict()
    assert set(parameters) == set(expected)
    for key, own in parameters.items():
        # Equal bit for bit where it was written; sums may be rounded otherwise elsewhere.
        np.testing.assert_allclose(own.numpy(), expected[key], rtol=1e-4, atol=1e-6, err_msg=key)
    moved = max(float((own - before[key]).abs().max()) for key, own in parameters.items())
    assert moved > 1e-3
    assert model.num_timesteps == 60


@pytest.mark.parametrize("name", LEARNERS)
def test_an_old_model_predicts_without_environment(name):
    """In a process that has loaded nothing yet."""
    script = (
        f"import numpy, sb3_distral; model = sb3_distral.{LEARNERS[name].__name__}.load({str(DATA / name)!r}); "
        "observation = model.distilled_policy.observation_space.sample(); "
        "print(model.predict(observation)[0], model.task_policy(1).predict(observation)[0], model.task_names)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "maze-0" in done.stdout


def test_an_old_policy_that_was_saved_alone_is_the_same():
    """The file names classes of modules that are gone, and no algorithm of the package loads it."""
    policy = RecurrentTaskPolicy.load(DATA / "recurrent_task_policy.pth")
    rows, zeros = th.linspace(-1.0, 1.0, 4 * 81).view(4, 81), (th.zeros(2, 1, 5), th.zeros(2, 1, 5))
    with th.no_grad():
        distribution, _ = policy.get_distribution(rows, zeros, th.zeros(4))
        values = policy.predict_values(rows, zeros, th.zeros(4))
    last = [0.2493634968996048, 0.24990832805633545, 0.2504686713218689, 0.2502593994140625]
    np.testing.assert_allclose(distribution.distribution.probs[3], last, atol=1e-6)
    expected = [-0.12409429997205734, -0.25093626976013184, -0.001581935677677393, 0.05961555987596512]
    np.testing.assert_allclose(values[:, 0], expected, atol=1e-6)


def test_generators_of_old_files_are_restored():
    th.manual_seed(123)
    env = sb3_distral.tasks.make("grid-mazes", n_envs_per_task=2, seed=0, n_tasks=2)
    DistralA2C.load(DATA / "feedforward.zip", env=env, device="cpu")
    first = th.rand(1)
    th.manual_seed(321)
    DistralA2C.load(DATA / "feedforward.zip", env=env, device="cpu")
    assert th.equal(th.rand(1), first)
