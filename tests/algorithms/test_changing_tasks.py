"""Tasks come to a model and leave it: those that stay notice nothing, new ones begin with π0."""

from copy import deepcopy
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import LogKeeper, SpaceEnv, randomize, table_task
from integration.toys import assert_equal, training_state
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from sb3_distral import (
    DistralA2C,
    DistralPPO,
    RecurrentDistralA2C,
    RecurrentDistralPPO,
    join_tasks,
    make_task_vec_env,
    select_tasks,
    tasks,
)
from sb3_distral.errors import UsageError

LEARNERS = {"a2c": DistralA2C, "ppo": DistralPPO, "recurrent a2c": RecurrentDistralA2C}
LEARNERS["recurrent ppo"] = RecurrentDistralPPO
ARCHITECTURES = ["shared", "one_column", "two_columns"]
CASES = list(product(LEARNERS, ARCHITECTURES))
N_STEPS = 4


def mazes(*numbers, n_envs=2):
    return select_tasks(tasks.make("grid-mazes", n_envs, n_tasks=5), [f"maze-{number}" for number in numbers])


def make_model(learner="a2c", architecture="two_columns", env=None, **arguments):
    if "ppo" in learner:
        arguments = {"batch_size": 16, "n_epochs": 2, **arguments}
    policy_kwargs = {"lstm_hidden_size": 4} if "recurrent" in learner else {"net_arch": [6]}
    arguments = {"n_steps": N_STEPS, "seed": 0, "device": "cpu", "policy_kwargs": policy_kwargs, **arguments}
    env = mazes(0, 1, 2) if env is None else env
    model = LEARNERS[learner](env, architecture=architecture, **arguments)
    randomize(model.policy, 0.3)
    return model


def trained(*args, n_rollouts=3, **arguments):
    model = make_model(*args, **arguments)
    return go_on(model, n_rollouts)


def go_on(model, n_rollouts=2):
    return model.learn(n_rollouts * model.n_steps * model.n_envs, reset_num_timesteps=False)


def columns_of(model):
    """Parameters of each task's column by its name."""
    networks = {}
    for task, name in enumerate(model.task_names):
        column = model.policy._make_column(model.policy._dummy_schedule)
        model.policy.task_columns.copy_column(task, column)
        networks[name] = column.state_dict()
    return networks


def sizes_of(model, name="exp_avg_sq"):
    """What the optimizer knows of each task's column, in the form of the column."""
    shadow = deepcopy(model.policy.task_columns)
    state = model.policy.optimizer.state
    for own, parameter in zip(shadow.parameters(), model.policy.task_columns.parameters(), strict=True):
        own.data = state[parameter][name].clone()
    columns, model.policy.task_columns = model.policy.task_columns, shadow
    try:
        return columns_of(model)
    finally:
        model.policy.task_columns = columns


# Tasks that stay


@pytest.mark.parametrize(("learner", "architecture"), CASES)
def test_tasks_that_stay_keep_all_they_have(learner, architecture):
    model = trained(learner, architecture)
    has_columns = architecture != "shared"
    columns, sizes = (columns_of(model), sizes_of(model)) if has_columns else ({}, {})
    distilled = {name: own.clone() for name, own in model.distilled_policy.state_dict().items()}
    last, starts = model._last_obs["obs"].copy(), model._last_episode_starts.copy()
    n_steps, n_updates = model.num_timesteps, model._n_updates
    if "recurrent" in learner:
        memory = model._last_lstm_states.pi[0].clone()

    assert model.remove_tasks(["maze-1"]).add_tasks({"new": "sb3_distral/GridMaze-4-v0"}) is model
    assert model.task_names == ["maze-0", "maze-2", "new"]
    assert (model.num_timesteps, model._n_updates, model.n_envs) == (n_steps, n_updates, 6)
    rows = [0, 1, 4, 5]
    assert np.array_equal(model._last_obs["obs"][:4], last[rows])
    assert model._last_obs["task"].tolist() == [0, 0, 1, 1, 2, 2]
    assert model._last_episode_starts.tolist() == [*starts[rows], True, True]
    assert_equal(dict(model.distilled_policy.state_dict()), distilled)
    if has_columns:
        after = columns_of(model)
        assert_equal(
            {name: after[name] for name in ("maze-0", "maze-2")}, {n: columns[n] for n in ("maze-0", "maze-2")}
        )
        knows = sizes_of(model)
        assert_equal({name: knows[name] for name in ("maze-0", "maze-2")}, {n: sizes[n] for n in ("maze-0", "maze-2")})
    if "recurrent" in learner:
        assert th.equal(model._last_lstm_states.pi[0][:, :4], memory[:, rows])
        assert not model._last_lstm_states.pi[0][:, 4:].any()
    go_on(model)
    assert model.num_timesteps == n_steps + 2 * N_STEPS * 6


@pytest.mark.parametrize("optimizer", [th.optim.Adam, th.optim.RMSprop, th.optim.SGD])
def test_a_task_that_is_left_alone_trains_as_if_alone_with_the_others(optimizer):
    """With one column and no costs a task's training depends on nothing but itself."""
    kwargs = {"net_arch": [6], "optimizer_class": optimizer}
    arguments = {"beta": float("inf"), "policy_kwargs": kwargs, "learning_rate": 1e-2}
    env = [table_task(task, time_limit=7) for task in range(3)]

    def steps(removes):
        th.manual_seed(0)
        model = DistralA2C(env, architecture="one_column", seed=0, device="cpu", **arguments).learn(90)
        if removes:
            model.remove_tasks(["task-1", "task-2"])
        before = columns_of(model)["task-0"]
        # The same gradients, whoever else is there.
        for number, parameter in enumerate(model.policy.task_columns.parameters()):
            generator = th.Generator().manual_seed(number)
            parameter.grad = th.randn(parameter.shape[1:], generator=generator).expand_as(parameter).clone()
        model.policy.optimizer.step()
        return {name: value - before[name] for name, value in columns_of(model)["task-0"].items()}

    assert_equal(steps(removes=True), steps(removes=False))


def test_sub_environments_of_tasks_that_stay_are_not_reset():
    model = DistralA2C([table_task(0, time_limit=1000)] * 2, seed=0, device="cpu").learn(30)
    stays = model.env.unwrapped.envs[0].unwrapped
    n_steps, state = stays.n_steps, stays.state
    assert n_steps == 15
    model.add_tasks({"new": table_task(2)}).remove_tasks(["task-1"])
    assert (stays.n_steps, stays.state) == (n_steps, state)
    model.learn(10, reset_num_timesteps=False)
    assert stays.n_steps == n_steps + 5


def test_logs_go_on_by_name():
    model = DistralA2C({name: table_task(place, time_limit=4) for place, name in enumerate("abc")}, seed=0)
    model.learn(60)
    returns = {name: [own["r"] for own in episodes] for name, episodes in model._task_episodes.items()}
    model.remove_tasks(["a"]).add_tasks({"d": table_task(3, time_limit=4)}).rename_tasks({"b": "z"})
    assert {name: [own["r"] for own in episodes] for name, episodes in model._task_episodes.items()} == {
        "z": returns["b"],
        "c": returns["c"],
    }
    assert sorted(own["r"] for own in model.ep_info_buffer) == pytest.approx(sorted(returns["b"] + returns["c"]))
    keeper = LogKeeper.of(model)
    model.learn(60, log_interval=1, reset_num_timesteps=False)
    assert {key.split("/")[1] for key in keeper.logs[-1] if key.startswith("rollout/") and key.count("/") == 2} == {
        *"zcd"
    }


# New tasks


@pytest.mark.parametrize(("learner", "architecture"), CASES)
def test_new_tasks_begin_with_the_distilled_policy(learner, architecture):
    model = trained(learner, architecture, distilled_weight=1.0 if architecture == "two_columns" else None)
    model.add_tasks(mazes(3, 4))
    starts = model.env.venv.reset()
    rows = {key: value[6:] for key, value in starts.items()}
    state = {}
    if "recurrent" in learner:
        layers, _, size = model.policy.lstm_hidden_state_shape
        state = {"memory": model.policy.memory((th.zeros(layers, 4, size),) * 2, th.ones(4))}
    with th.no_grad():
        evaluation = model.policy.evaluate(model.policy.obs_to_tensor(rows)[0], **state, distilled=True)
    th.testing.assert_close(evaluation.task_parameters, evaluation.distilled_parameters)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_new_tasks_see_all_and_begin_with_what_the_distilled_policy_sees(architecture):
    view, kwargs = [True] * 50 + [False] * 26 + [True] * 5, {"net_arch": [6]}
    arguments = {"architecture": architecture, "distilled_view": view, "policy_kwargs": kwargs}
    weight = {"distilled_weight": 1.0} if architecture == "two_columns" else {}
    model = go_on(DistralA2C(mazes(0, 1), seed=0, device="cpu", n_steps=N_STEPS, **arguments, **weight))
    model.add_tasks(mazes(3))
    rows = {key: value[4:] for key, value in model.env.venv.reset().items()}
    with th.no_grad():
        evaluation = model.policy.evaluate(model.policy.obs_to_tensor(rows)[0], distilled=True)
    th.testing.assert_close(evaluation.task_parameters, evaluation.distilled_parameters)


def test_one_column_does_not_begin_with_features_of_a_part():
    space = spaces.Dict({"image": spaces.Box(0, 255, (3, 36, 36), np.uint8), "place": spaces.Box(-1, 1, (2,))})
    arguments = {"architecture": "one_column", "distilled_view": ["place"], "device": "cpu"}
    model = DistralA2C({"a": lambda: SpaceEnv(space)}, **arguments)
    before = training_state(model)
    with pytest.raises(UsageError, match=r"sees only .*'place'.* features extractor learns from them"):
        model.add_tasks({"b": lambda: SpaceEnv(space)})
    assert_equal(training_state(model), before)


def test_first_steps_of_a_new_column_are_no_longer_than_later_ones():
    model = DistralA2C(mazes(0, 1, n_envs=8), seed=0, device="cpu", learning_rate=2e-3).learn(12_000)
    model.add_tasks(mazes(2, n_envs=8))
    lengths, step = [], model._step

    def measured():
        before = columns_of(model)["maze-2"]
        step()
        after = columns_of(model)["maze-2"]
        lengths.append(float(sum((after[name] - before[name]).square().sum() for name in before).sqrt()))

    model._step = measured
    model.learn(60 * 5 * 24, reset_num_timesteps=False)
    assert max(lengths[:5]) < 2.0 * np.mean(lengths[20:])


@pytest.mark.parametrize("n_envs", [None, 3])
def test_new_tasks_have_as_many_sub_environments_as_others_or_as_asked_for(n_envs):
    model = make_model()
    model.add_tasks({"new": "sb3_distral/GridMaze-4-v0"}, n_envs)
    assert np.bincount(model.env.tasks).tolist() == [2, 2, 2, n_envs or 2]


def test_costs_of_new_tasks():
    model = make_model(alpha={"maze-0": 0.1, "maze-1": 0.2, "maze-2": 0.3}, beta=50.0)
    with pytest.raises(UsageError, match=r"alpha is \[0.1, 0.2, 0.3\], one for each.*add_tasks\(…, alpha=…\)"):
        model.add_tasks(mazes(3))
    model.add_tasks(mazes(3, 4), alpha={"maze-4": 0.5, "maze-3": 0.4}, beta=10.0).remove_tasks(["maze-1"])
    assert model.costs.alpha.tolist() == pytest.approx([0.1, 0.3, 0.4, 0.5])
    assert model.beta == [50.0, 50.0, 10.0, 10.0]
    assert model.policy.distilled_weights.tolist() == pytest.approx([0.1, 0.3, 0.4, 0.5])
    assert model.env.kl_cost[::2] == pytest.approx([0.1 / 50, 0.3 / 50, 0.4 / 10, 0.5 / 10])


def test_a_refusal_changes_nothing():
    model = trained("ppo", batch_size=14)
    before = training_state(model)
    with pytest.raises(UsageError, match="batch_size=14 was given with 10 tasks"):
        model.add_tasks({f"new-{number}": "sb3_distral/GridMaze-4-v0" for number in range(7)})
    with pytest.raises(UsageError, match="alpha=2"):
        model.add_tasks(mazes(3), alpha=2.0)
    assert_equal(training_state(model), before)
    go_on(model)


# The environment


@pytest.mark.parametrize("learner", ["a2c", "recurrent ppo"])
def test_normalisation_goes_along(learner):
    model = make_model(learner, env=VecNormalize(mazes(0, 1), norm_obs_keys=["obs"]))
    go_on(model)
    count = model.get_vec_normalize_env().obs_rms["obs"].count
    model.add_tasks(mazes(2)).remove_tasks(["maze-0"])
    go_on(model, 1)
    assert model.get_vec_normalize_env().obs_rms["obs"].count > count
    assert model.get_env() is model.get_vec_normalize_env()


def test_wrappers_that_cannot_follow_are_refused():
    model = make_model(env=VecFrameStack(mazes(0, 1), 2))
    with pytest.raises(UsageError, match=r"in a VecFrameStack.*distilled_policy takes π0 along"):
        model.add_tasks(VecFrameStack(mazes(2), 2).venv)
    with pytest.raises(UsageError, match="A VecNormalize was given; expected a TaskVecEnv"):
        make_model().add_tasks(VecNormalize(mazes(3), norm_obs_keys=["obs"]))


class Choices(SpaceEnv):
    def __init__(self, n=4):
        super().__init__(spaces.Box(-1.0, 1.0, (3,), np.float32))
        self.action_space = spaces.Discrete(n)


@pytest.mark.filterwarnings("ignore:The action spaces")
@pytest.mark.parametrize("learner", ["a2c", "ppo", "recurrent a2c"])
def test_tasks_of_fewer_actions_come_and_are_left_alone(learner, tmp_path):
    model = make_model(learner, env={"a": Choices, "b": Choices})
    go_on(model)
    model.add_tasks({"few": lambda: Choices(3)})
    go_on(model).remove_tasks(["a", "b"])
    go_on(model)
    assert model.action_space == spaces.Discrete(4)
    assert [mask.valid for mask in model.task_masks] == [[True, True, True, False]]
    actions = [model.task_policy("few").predict(np.zeros(3, np.float32))[0] for _ in range(30)]
    assert set(map(int, actions)) == {0, 1, 2}
    model.save(tmp_path / "model")
    loaded = LEARNERS[learner].load(tmp_path / "model", env={"few": lambda: Choices(3)})
    go_on(loaded)
    with pytest.raises(UsageError, match=r"the distilled policy only Discrete\(4\)"):
        model.add_tasks({"many": lambda: Choices(5)})


# Saving


@pytest.mark.parametrize(("learner", "architecture"), CASES)
def test_a_changed_model_is_saved_and_goes_on_bit_for_bit(learner, architecture, tmp_path):
    model = trained(learner, architecture, rehearsal_coef=0.1)
    model.remove_tasks(["maze-1"]).add_tasks(mazes(4, n_envs=1))
    go_on(model)
    model.save(tmp_path / "model")
    go_on(model, 3)
    env = join_tasks(mazes(0, 2), mazes(4, n_envs=1))
    loaded = LEARNERS[learner].load(tmp_path / "model", env=env)
    assert loaded.task_names == ["maze-0", "maze-2", "maze-4"]
    go_on(loaded, 3)
    assert_equal(training_state(loaded), training_state(model))


def test_a_model_saved_right_after_a_change_goes_on_bit_for_bit(tmp_path):
    model = trained().add_tasks(mazes(4))
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=join_tasks(mazes(0, 1, 2), mazes(4)))
    for each in (model, loaded):
        th.manual_seed(0)
        go_on(each, 3)
    assert_equal(training_state(loaded), training_state(model))


# Names


def test_names_that_are_no_tasks_are_refused():
    model = make_model()
    for wrong in (["maze-7"], [], "maze-0", ["maze-0", "maze-1", "maze-2"]):
        with pytest.raises(UsageError, match=r"remove_tasks got .*some, but not all, of the tasks"):
            model.remove_tasks(wrong)
    with pytest.raises(UsageError, match=r"\['maze-1'\] are there already"):
        model.add_tasks(mazes(1, 3))
    for wrong in ({"maze-7": "a"}, {"maze-0": "maze-1"}):
        with pytest.raises(UsageError, match="rename_tasks got"):
            model.rename_tasks(wrong)


def test_a_model_without_environment_says_what_to_do(tmp_path):
    make_model().save(tmp_path / "model")
    model = DistralA2C.load(tmp_path / "model")
    for change in (partial(model.add_tasks, mazes(3)), partial(model.remove_tasks, ["maze-0"])):
        with pytest.raises(UsageError, match=r"without environment. Load it with its tasks, load\(path, env=…\)"):
            change()


def test_other_tasks_at_load_are_refused_by_name(tmp_path):
    model = DistralA2C({"a": table_task(0), "b": table_task(1)})
    model.save(tmp_path / "model")
    cases = {
        "ac": r"no column for \['c'\], and \['b'\] are missing",
        "abc": r"no column for \['c'\], and \[\] are missing",
        "a": r"no column for \[\], and \['b'\] are missing",
    }
    for names, message in cases.items():
        env = {name: table_task(0) for name in names}
        with pytest.raises(UsageError, match=rf"{message}.*add_tasks and remove_tasks change.*rename_tasks"):
            DistralA2C.load(tmp_path / "model", env=env)
        with pytest.raises(UsageError, match=message):
            model.set_env(env)


def test_renamed_tasks_go_on_with_their_columns(tmp_path):
    DistralA2C({"a": table_task(0), "b": table_task(1)}).save(tmp_path / "model")
    model = DistralA2C.load(tmp_path / "model").rename_tasks({"b": "c"})
    model.set_env({"a": table_task(0), "c": table_task(1)})
    model.learn(10, reset_num_timesteps=False)
    assert model.task_names == model.env.task_names == ["a", "c"]
    made = DistralA2C(make_task_vec_env([table_task(0)] * 2)).rename_tasks({"task-0": "x"})
    assert made.env.task_names == made.get_env().task_names == ["x", "task-1"]
    made.learn(10).remove_tasks(["x"])


def test_costs_under_a_controller_and_scales_of_returns_stay_with_their_tasks():
    model = trained(beta="auto", alpha=[0.3, 0.5, 0.7], normalize_returns=True)
    costs = dict(zip(model.task_names, zip(*(part.tolist() for part in model.costs), strict=True), strict=True))
    counts = dict(zip(model.task_names, model.return_scales.counts.tolist(), strict=True))
    model.remove_tasks(["maze-1"]).add_tasks(mazes(3), alpha=0.5)
    after = dict(zip(model.task_names, zip(*(part.tolist() for part in model.costs), strict=True), strict=True))
    assert [after[name] for name in ("maze-0", "maze-2")] == [costs[name] for name in ("maze-0", "maze-2")]
    assert after["maze-3"] == pytest.approx((0.5, 0.005, 0.005))
    assert model.return_scales.counts.tolist() == [counts["maze-0"], counts["maze-2"], 0.0]
    go_on(model)
    assert model.return_scales.counts[2] == 2 * model.n_steps * 2


def test_episodes_of_tasks_that_stay_go_on_in_the_scales_of_returns():
    model = trained(normalize_returns=True)
    # Rewards of mazes are rare.
    before = np.arange(1.0, 7.0)
    model.return_scales.returns[:] = before
    model.remove_tasks(["maze-0"]).add_tasks(mazes(3))
    assert model.return_scales.returns.tolist() == [*before[2:], 0.0, 0.0]
    go_on(model)
