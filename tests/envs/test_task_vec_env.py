from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from integration.toys import CARTPOLE, DICT_SPACE, IMAGE_SPACE, ScriptedVecEnv, Toy, assert_equal, training_state
from stable_baselines3.common.env_util import is_wrapped, make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecMonitor, VecNormalize

import sb3_distral.tasks
from sb3_distral import DistralA2C, TaskVecEnv, make_task_vec_env

NOISY = {"short": partial(Toy, reward=None, length=3), "long": partial(Toy, reward=None, length=5)}
FORKED = {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "fork"}}
OTHER_ID = "sb3_distral/GridMaze-1-v0"


def tasks_of(task_env):
    return task_env.tasks.tolist()


def stream(task_env, n_steps=12):
    """All that a training sees of an environment, and the plain terminal observations."""
    steps = [task_env.reset()]
    for step in range(n_steps):
        actions = np.full(task_env.num_envs, step % 2)
        observations, rewards, dones, infos = task_env.step(actions)
        # SubprocVecEnv gives rewards in double precision, the others and the roll-out buffer in single precision.
        rewards = rewards.astype(np.float32)
        steps.append((observations, rewards, dones, [info.get("terminal_observation") for info in infos]))
    task_env.close()
    return steps


# What tasks may be given as, and their names


def test_a_list_of_ids_gives_tasks_named_by_id():
    task_env = make_task_vec_env(["sb3_distral/GridMaze-0-v0", OTHER_ID], n_envs_per_task=2)
    assert task_env.task_names == ["sb3_distral_GridMaze-0-v0", OTHER_ID.replace("/", "_")]
    assert tasks_of(task_env) == [0, 0, 1, 1]
    assert [spec.id for spec in task_env.get_attr("spec")] == ["sb3_distral/GridMaze-0-v0"] * 2 + [OTHER_ID] * 2


def test_a_repeated_id_is_numbered_and_a_single_one_is_not():
    task_env = make_task_vec_env([CARTPOLE, CARTPOLE])
    assert task_env.task_names == [f"{CARTPOLE}-0", f"{CARTPOLE}-1"]
    names = make_task_vec_env(["sb3_distral/GridMaze-0-v0", OTHER_ID, "sb3_distral/GridMaze-0-v0"]).task_names
    other = OTHER_ID.replace("/", "_")
    assert names == ["sb3_distral_GridMaze-0-v0-0", other, "sb3_distral_GridMaze-0-v0-1"]


def test_numbering_never_makes_a_task_vanish():
    gym.register("Doubled", entry_point=Toy)
    gym.register("Doubled-0", entry_point=Toy)
    try:
        task_env = make_task_vec_env(["Doubled", "Doubled", "Doubled-0"])
    finally:
        del gym.registry["Doubled"], gym.registry["Doubled-0"]
    assert len(set(task_env.task_names)) == task_env.num_envs == 3


def test_a_dict_names_its_tasks_and_keeps_their_order():
    task_env = make_task_vec_env({"z": CARTPOLE, "a": CARTPOLE})
    assert task_env.task_names == ["z", "a"]
    assert task_env.observation_space["task"].n == 2


def test_one_task_alone_is_a_list_of_one():
    for one in (CARTPOLE, Toy, Toy(), DummyVecEnv([Toy])):
        task_env = make_task_vec_env(one)
        assert (task_env.num_envs, len(task_env.task_names)) == (1, 1)
    assert make_task_vec_env(CARTPOLE).task_names == [CARTPOLE]


def test_callables_and_instances_without_an_id_are_numbered():
    assert make_task_vec_env([Toy, lambda: Toy(length=9)]).task_names == ["task-0", "task-1"]
    assert make_task_vec_env([Toy(), Toy()]).task_names == ["task-0", "task-1"]
    assert make_task_vec_env([DummyVecEnv([Toy]), DummyVecEnv([Toy])]).task_names == ["task-0", "task-1"]


def test_an_instance_made_from_an_id_is_named_by_it():
    assert make_task_vec_env([gym.make(CARTPOLE)]).task_names == [CARTPOLE]


def test_a_callable_is_called_once_for_each_sub_environment():
    made = []

    def make():
        made.append(Toy())
        return made[-1]

    task_env = make_task_vec_env([make, Toy], n_envs_per_task=3)
    assert len(made) == 3
    assert [env.unwrapped for env in task_env.unwrapped.envs[:3]] == made


def test_an_instance_is_used_itself():
    toys = [Toy(), Toy()]
    task_env = make_task_vec_env(toys)
    assert [env.unwrapped for env in task_env.unwrapped.envs] == toys


def test_tasks_of_mixed_forms_stand_side_by_side():
    task_env = make_task_vec_env([Toy, Toy(length=9), lambda: Toy(length=7)])
    assert task_env.get_attr("length") == [4, 9, 7]


def test_each_environment_has_exactly_one_monitor():
    task_env = make_task_vec_env([Toy, lambda: Monitor(Toy()), Monitor(TimeLimit(Toy(), 3))])
    for env in task_env.unwrapped.envs:
        monitors = 0
        while isinstance(env, gym.Wrapper):
            monitors += isinstance(env, Monitor)
            env = env.env
        assert monitors == 1


def test_a_task_vec_env_wrapped_by_the_user_is_taken_as_it_is():
    task_env = VecMonitor(make_task_vec_env([partial(Toy, reward=None)] * 2))
    assert DistralA2C(task_env).get_env() is task_env


# Seeds


def test_streams_do_not_depend_on_the_kind_of_vec_env():
    in_process = stream(make_task_vec_env(NOISY, n_envs_per_task=2, seed=11))
    in_processes = stream(make_task_vec_env(NOISY, n_envs_per_task=2, seed=11, **FORKED))
    venvs = {name: DummyVecEnv([lambda make=make: Monitor(make())] * 2) for name, make in NOISY.items()}
    side_by_side = stream(make_task_vec_env(venvs, seed=11))
    mixed = {"short": DummyVecEnv([NOISY["short"]] * 2), "long": SubprocVecEnv([NOISY["long"]] * 2, "fork")}
    assert_equal(in_process, in_processes)
    assert_equal(in_process, side_by_side)
    assert_equal(in_process, stream(make_task_vec_env(mixed, seed=11)))


def test_sub_environment_j_is_seeded_with_seed_plus_j():
    task_env = make_task_vec_env(NOISY, n_envs_per_task=2, seed=11)
    observations = task_env.reset()["obs"]
    rewards = task_env.step(np.zeros(4, dtype=int))[1]
    for j, make in enumerate([NOISY["short"]] * 2 + [NOISY["long"]] * 2):
        lone = make()
        assert np.array_equal(lone.reset(seed=11 + j)[0], observations[j])
        assert np.float32(lone.step(0)[1]) == rewards[j]


def test_another_seed_gives_other_streams_and_sub_environments_differ():
    first = make_task_vec_env(NOISY, n_envs_per_task=2, seed=1).reset()["obs"]
    second = make_task_vec_env(NOISY, n_envs_per_task=2, seed=9).reset()["obs"]
    assert not np.isin(first, second).any()
    assert len(np.unique(first)) == first.size


def test_seeds_pass_through_vec_envs_of_different_sizes():
    task_env = make_task_vec_env([DummyVecEnv([NOISY["short"]] * n) for n in (1, 3)])
    assert list(task_env.seed(20)) == [20, 21, 22, 23]
    expected = [Toy(reward=None).reset(seed=20 + j)[0] for j in range(4)]
    assert np.array_equal(task_env.reset()["obs"], expected)


def test_the_seed_of_the_model_seeds_every_task_whatever_the_vec_env():
    def trained(task_env):
        model = DistralA2C(task_env, seed=5).learn(60)
        model.get_env().close()
        return training_state(model)

    once = trained(make_task_vec_env(NOISY, 2))
    assert_equal(once, trained(make_task_vec_env(NOISY, 2)))
    forked = trained(make_task_vec_env(NOISY, 2, **FORKED))
    for name, value in once["parameters"]["policy"].items():
        np.testing.assert_allclose(forked["parameters"]["policy"][name], value, atol=1e-4, err_msg=name)


# Observations


def test_observations_name_their_task_also_at_the_end_of_an_episode():
    task_env = make_task_vec_env([partial(Toy, length=2), partial(Toy, length=3)], n_envs_per_task=2)
    assert task_env.reset()["task"].tolist() == [0, 0, 1, 1]
    ended = set()
    for _ in range(3):
        observations, _, dones, infos = task_env.step(np.zeros(4, dtype=int))
        assert observations["task"].tolist() == [0, 0, 1, 1]
        for j in np.flatnonzero(dones):
            ended.add(j)
            terminal = infos[j]["terminal_observation"]
            assert terminal["task"] == [0, 0, 1, 1][j]
            assert task_env.observation_space.contains(terminal)
            assert not np.array_equal(terminal["obs"], observations["obs"][j])
    assert ended == {0, 1, 2, 3}


def test_the_terminal_value_of_a_truncated_episode_is_that_of_its_own_task(monkeypatch):
    """The value of the time-limit bootstrap comes from the task's column, on a single row."""
    tasks = [partial(Toy, reward=0.0, length=2, truncates=True)] * 3
    model = DistralA2C(make_task_vec_env(tasks), beta=float("inf"), gamma=0.5, n_steps=2)
    with_values = [10.0, 20.0, 30.0]
    predict_values = model.policy.predict_values

    def by_task(obs):
        values = predict_values(obs)
        return values * 0 + obs["task"].reshape(-1, 1).float() * 10 + 10

    monkeypatch.setattr(model.policy, "predict_values", by_task)
    model.learn(6)
    assert model.rollout_buffer.rewards.tolist() == [[0.0] * 3, [0.5 * value for value in with_values]]


def test_dict_observations_get_the_extra_key():
    make = partial(Toy, observation_space=DICT_SPACE, length=2)
    task_env = make_task_vec_env([make, make])
    assert set(task_env.observation_space.spaces) == {"near", "far", "task"}
    observations = task_env.reset()
    assert {key: value.shape for key, value in observations.items()} == {"near": (2, 2), "far": (2, 3), "task": (2,)}
    task_env.step([0, 0])
    terminal = task_env.step([0, 0])[3][1]["terminal_observation"]
    assert task_env.observation_space.contains(terminal)
    assert terminal["task"] == 1


def test_dict_observations_of_vec_envs_are_joined_key_by_key():
    make = partial(Toy, observation_space=DICT_SPACE, length=3)
    joined = stream(make_task_vec_env([DummyVecEnv([make]), DummyVecEnv([make] * 2)], seed=3))
    apart = stream(make_task_vec_env({"a": make}, n_envs_per_task=3, seed=3))
    for step, other in zip(joined[1:], apart[1:], strict=True):
        for key in ("near", "far"):
            assert np.array_equal(step[0][key], other[0][key])
    assert joined[0]["task"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("space", [DICT_SPACE, IMAGE_SPACE, gym.spaces.Box(-np.inf, np.inf, (2, 2))])
def test_models_train_on_dicts_images_and_matrices(space):
    if space.shape == (2, 2):
        tasks = [ScriptedMatrix, ScriptedMatrix]
    else:
        tasks = [partial(Toy, observation_space=space, length=2, truncates=True)] * 2
    model = DistralA2C(tasks, n_steps=3, policy_kwargs={"net_arch": [8]}).learn(12)
    observation = model.get_env().reset()
    assert model.predict(observation)[0].shape == (2,)
    plain = {key: value for key, value in observation.items() if key != "task"}
    assert model.predict(plain.get("obs", plain))[0].shape == (2,)


class ScriptedMatrix(Toy):
    def __init__(self):
        super().__init__(observation_space=gym.spaces.Box(-np.inf, np.inf, (2, 2)))

    def draw(self, space):
        return self.np_random.normal(size=space.shape).astype(space.dtype)


def test_models_train_on_discrete_observations():
    model = DistralA2C(["FrozenLake-v1", "FrozenLake-v1"], n_steps=4).learn(16)
    assert model.predict(3)[0].shape == ()
    assert model.task_policy(1).predict(np.array([3, 4]))[0].shape == (2,)


def test_images_reach_the_policy_channels_first_and_the_user_as_they_are():
    make = partial(Toy, observation_space=IMAGE_SPACE, length=2)
    task_env = make_task_vec_env([make, make])
    assert task_env.observation_space["obs"] == IMAGE_SPACE
    model = DistralA2C(task_env, policy_kwargs={"net_arch": [8]})
    assert model.observation_space["obs"].shape == (3, 36, 36)
    assert model.distilled_policy.observation_space.shape == (3, 36, 36)
    image = Toy(observation_space=IMAGE_SPACE).reset(seed=0)[0]
    action = model.predict(image, deterministic=True)[0]
    assert action == model.predict(image.transpose(2, 0, 1), deterministic=True)[0]


# Several VecEnvs as one


@pytest.fixture
def concatenated():
    short = DummyVecEnv([lambda: Monitor(Toy(length=2)), lambda: Toy(length=2)])
    long = SubprocVecEnv([lambda length=length: Toy(length=length) for length in (3, 4, 5)], "fork")
    task_env = make_task_vec_env({"short": short, "long": long})
    yield task_env
    task_env.close()


def test_vec_envs_of_different_sizes_keep_their_tasks(concatenated):
    assert concatenated.num_envs == 5
    assert tasks_of(concatenated) == [0, 0, 1, 1, 1]
    assert concatenated.get_attr("length") == [2, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("indices", "expected"), [(None, [2, 2, 3, 4, 5]), (3, [4]), ([4, 0], [5, 2]), (range(1, 3), [2, 3])]
)
def test_get_attr_takes_indices_over_all_vec_envs(concatenated, indices, expected):
    assert concatenated.get_attr("length", indices) == expected


def test_set_attr_reaches_the_chosen_sub_environments(concatenated):
    concatenated.set_attr("reward", 7.0, indices=[1, 3])
    concatenated.reset()
    assert concatenated.step(np.zeros(5, dtype=int))[1].tolist() == [1.0, 7.0, 1.0, 7.0, 1.0]


def test_env_method_passes_arguments_to_the_chosen_sub_environments(concatenated):
    names = [env.env_method("name", "hello", indices=[4, 1]) for env in (concatenated, concatenated)]
    assert names[0] == ["hello of 5 steps", "hello of 2 steps"]
    assert concatenated.env_method("name", greeting="x") == [f"x of {n} steps" for n in (2, 2, 3, 4, 5)]


def test_env_is_wrapped_answers_for_each_sub_environment(concatenated):
    assert concatenated.env_is_wrapped(Monitor) == [True, False, False, False, False]
    assert concatenated.env_is_wrapped(Monitor, indices=[2, 0]) == [False, True]


def test_reset_options_reach_the_sub_environment_they_are_meant_for():
    class Optioned(Toy):
        def reset(self, *, seed=None, options=None):
            self.options = options
            return super().reset(seed=seed)

    task_env = make_task_vec_env([DummyVecEnv([Optioned] * 2), DummyVecEnv([Optioned])])
    task_env.unwrapped.set_options([{"n": 0}, {"n": 1}, {"n": 2}])
    task_env.reset()
    assert task_env.get_attr("options") == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_actions_reach_their_sub_environment_and_results_come_back_in_order():
    class Echo(Toy):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, float(action), *rest

    task_env = make_task_vec_env([DummyVecEnv([partial(Echo, n_actions=9)] * n) for n in (1, 2, 1)])
    task_env.reset()
    assert task_env.step(np.array([3, 5, 7, 8]))[1].tolist() == [3.0, 5.0, 7.0, 8.0]


def test_vec_envs_are_all_started_before_any_is_waited_for():
    events = []

    class Watched(ScriptedVecEnv):
        def step_async(self, actions):
            events.append("start")
            super().step_async(actions)

        def step_wait(self):
            events.append("wait")
            return super().step_wait()

    task_env = make_task_vec_env([Watched(), Watched()])
    task_env.reset()
    task_env.step(np.zeros(4, dtype=int))
    assert events == ["start", "start", "wait", "wait"]


def test_closing_closes_every_vec_env(monkeypatch):
    closed = []
    monkeypatch.setattr(ScriptedVecEnv, "close", lambda self: closed.append(self))
    venvs = [ScriptedVecEnv(), ScriptedVecEnv(3)]
    make_task_vec_env(venvs).close()
    assert closed == venvs


def test_reset_infos_and_pictures_come_from_every_vec_env():
    venvs = [make_vec_env(OTHER_ID, n, env_kwargs={"render_mode": "rgb_array"}) for n in (1, 2)]
    task_env = make_task_vec_env(venvs)
    task_env.reset()
    assert len(task_env.unwrapped.reset_infos) == 3
    pictures = task_env.get_images()
    assert len(pictures) == 3 and all(picture.ndim == 3 for picture in pictures)
    task_env.close()


def test_a_users_own_vec_env_class_trains():
    model = DistralA2C({"a": ScriptedVecEnv(2), "b": ScriptedVecEnv(3)}).learn(100)
    assert model.n_envs == 5
    assert model.rollout_buffer.observations["task"].reshape(5, 5)[:, 0].tolist() == [0, 0, 1, 1, 1]


def test_vec_envs_with_wrappers_of_their_own_are_tasks_too():
    venvs = [VecFrameStack(DummyVecEnv([Toy] * 2), 3), VecFrameStack(DummyVecEnv([Toy]), 3)]
    task_env = make_task_vec_env(venvs)
    assert task_env.reset()["obs"].shape == (3, 9)
    normalized = [VecNormalize(DummyVecEnv([partial(Toy, reward=reward)])) for reward in (1.0, 1000.0)]
    DistralA2C(normalized).learn(40)


def test_the_same_vec_env_given_twice_is_refused():
    venv = DummyVecEnv([Toy])
    with pytest.raises(ValueError, match=r"same|twice|several"):
        make_task_vec_env([venv, venv])


def test_suites_are_task_vec_envs_like_those_made_by_hand():
    suite = sb3_distral.tasks.make("two-rooms", n_envs_per_task=2, seed=0, n_tasks=2)
    ids = [f"sb3_distral/TwoRooms-{task}-v0" for task in range(2)]
    by_hand = make_task_vec_env(ids, n_envs_per_task=2, seed=0)
    assert isinstance(suite, TaskVecEnv)
    assert (suite.observation_space, suite.action_space) == (by_hand.observation_space, by_hand.action_space)
    assert_equal(stream(suite, 150), stream(by_hand, 150))


def test_environments_of_ids_are_monitored_in_every_vec_env():
    task_env = make_task_vec_env([CARTPOLE, CARTPOLE], **FORKED)
    assert task_env.env_is_wrapped(Monitor) == [True, True]
    task_env.close()
    assert is_wrapped(make_task_vec_env([Toy]).unwrapped.envs[0], Monitor)
