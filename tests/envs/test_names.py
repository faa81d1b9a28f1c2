import gymnasium as gym
import pytest
from integration.toys import CARTPOLE, Toy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from sb3_distral import DistralA2C, TaskVecEnv, make_task_vec_env
from sb3_distral.algorithms.evaluation_files import folder_names
from sb3_distral.envs.names import check_task_names, name_tasks

from .messages import refuses

MAZE = "sb3_distral/GridMaze-0-v0"


@pytest.mark.parametrize("task", [7, None, {"id": CARTPOLE}])
def test_a_task_that_is_no_environment_is_refused(task):
    with refuses("Task 'right'", repr(task), "expected a gymnasium id, a callable", "or a VecEnv"):
        make_task_vec_env({"left": Toy, "right": task})


def test_names_that_repeat_are_refused():
    with refuses("['same', 'same'] repeat", "name of its own"):
        TaskVecEnv(DummyVecEnv([Toy, Toy]), [0, 1], ["same", "same"])


def test_keys_of_a_dict_that_become_one_name_are_refused():
    with refuses("repeat"):
        make_task_vec_env({1: Toy, "1": Toy})


@pytest.mark.parametrize("indices", [[0], [0, 0], [0, 2], [0, 1, 1]])
def test_indices_that_do_not_fit_are_refused(indices):
    with refuses("2 sub-environments", str(indices), "expected one index for each sub-environment"):
        TaskVecEnv(DummyVecEnv([Toy, Toy]), indices, ["left", "right"])


# Environments that are in two tasks


def test_one_environment_in_two_tasks_is_refused():
    toy = Toy()
    for vec_env_cls in (DummyVecEnv, SubprocVecEnv):
        with refuses("tasks 'a' and 'c' hold the same environment", "Make one for each task"):
            make_task_vec_env({"a": toy, "b": Toy(), "c": Monitor(toy)}, vec_env_cls=vec_env_cls)


def test_one_environment_in_two_vec_envs_is_refused():
    toy = Toy()
    with refuses("tasks 'a' and 'b' hold the same environment"):
        make_task_vec_env({name: DummyVecEnv([lambda: toy]) for name in "ab"})


def test_one_vec_env_under_two_wrappers_is_refused():
    venv = DummyVecEnv([Toy])
    with refuses("tasks 'a' and 'b' hold the same environment"):
        make_task_vec_env({"a": venv, "b": VecMonitor(venv)})


def test_a_callable_that_always_gives_the_same_environment_cannot_be_two_tasks():
    toy = Toy()
    with refuses("tasks 'a' and 'b' hold the same environment"):
        make_task_vec_env({"a": lambda: toy, "b": lambda: toy})


# Mixed forms


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
def test_ids_stand_beside_callables_that_cannot_be_drawn(vec_env_cls):
    arguments = {"start_method": "fork"} if vec_env_cls is SubprocVecEnv else {}
    tasks = {"a": CARTPOLE, "b": lambda: gym.make(CARTPOLE), "c": CARTPOLE}
    task_env = make_task_vec_env(tasks, 2, seed=3, vec_env_cls=vec_env_cls, vec_env_kwargs=arguments)
    observations = task_env.reset()
    assert task_env.render_mode is None
    assert observations["task"].tolist() == [0, 0, 1, 1, 2, 2]
    for index, row in enumerate(observations["obs"]):
        assert row.tolist() == gym.make(CARTPOLE).reset(seed=3 + index)[0].tolist()
    task_env.close()


def test_what_can_be_drawn_everywhere_is_drawn():
    task_env = make_task_vec_env({"a": MAZE, "b": lambda: gym.make(MAZE, render_mode="rgb_array")})
    task_env.reset()
    assert task_env.render().ndim == 3


# The rule for names

LONG = "n" * 100
WRONG = [
    "",
    ".",
    "..",
    ".hidden",
    "a/b",
    "a\\b",
    "../up",
    "a,b",
    "a\nb",
    "a\rb",
    "a\x00",
    "\x1b[2J",
    "\ud800",
    "a\u2028b",
]
WRONG += [LONG + "n", "x" * 5000]


@pytest.mark.parametrize("name", WRONG, ids=lambda name: ascii(name)[:20])
def test_names_that_no_log_or_folder_can_hold_are_refused(name):
    shown = repr(name)[:90]
    without_tasks = DistralA2C({"good": Toy})
    without_tasks.env = None
    for make in (
        lambda: make_task_vec_env({name: Toy}),
        lambda: TaskVecEnv(DummyVecEnv([Toy]), [0], [name]),
        lambda: make_task_vec_env(DummyVecEnv([Toy]), task_names=[name]),
        lambda: without_tasks.rename_tasks({"good": name}),
        lambda: make_task_vec_env({"good": Toy}).rename([name]),
    ):
        with refuses(shown, "expected 1 to 100 printable characters", "Give the task another name") as error:
            make()
        assert f"{error.value}".isprintable() and len(f"{error.value}") < 600


@pytest.mark.parametrize("name", [LONG, "maze 1", "迷路-1", "a:b", "a..b", "%", "ü", "π0"])
def test_other_names_are_taken(name):
    assert make_task_vec_env({name: Toy}).task_names == [name]
    assert list(folder_names([name])) == [name]


def test_a_refused_name_changes_nothing():
    model = DistralA2C({"good": Toy})
    for rename in (lambda: model.rename_tasks({"good": "a/b"}), lambda: model.get_env().rename(["a/b"])):
        with refuses("'a/b'"):
            rename()
    assert model.task_names == model.get_env().task_names == ["good"]


def test_a_name_that_is_no_text_is_refused():
    with refuses("A task has the name 7"):
        TaskVecEnv(DummyVecEnv([Toy]), [0], [7])


@pytest.mark.parametrize(
    ("env_id", "name"),
    [
        ("ALE/Pong-v5", "ALE_Pong-v5"),
        ("module:Id-v0", "module:Id-v0"),
        ("..", "_."),
        ("a,b\nc", "a_b_c"),
        ("", "_"),
        ("x" * 5000, LONG.replace("n", "x")),
    ],
)
def test_a_default_name_is_one_that_is_allowed(env_id, name):
    assert list(name_tasks([env_id])) == [name]
    check_task_names(list(name_tasks([env_id] * 11)))


def test_ids_that_become_one_name_are_numbered():
    assert list(name_tasks(["a/b", "a_b"])) == ["a_b-0", "a_b-1"]


def test_a_model_with_a_name_that_earlier_versions_allowed_goes_on(tmp_path):
    model = DistralA2C([MAZE])
    model.task_names = [MAZE]
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=[MAZE])
    assert loaded.task_names == DistralA2C.load(tmp_path / "model").task_names == ["sb3_distral_GridMaze-0-v0"]
    loaded.learn(5)


@pytest.mark.parametrize("name", ["..", "../../up", "/etc/passwd", "a\\..\\b", "迷" * 100, "CON", "x" * 100])
def test_whatever_a_name_is_its_folder_lies_in_the_folder_of_the_evaluations(name, tmp_path):
    """Also where a name passed the rule of a file system by its characters, but not by its bytes."""
    (folder,) = folder_names([name]).values()
    inside = tmp_path / folder
    inside.mkdir()
    assert inside.resolve().parent == tmp_path.resolve()


class EnvPoolMixin:
    """Environments of envpool have a class of this name above them, and specifications without an id."""

    spec = object()


def test_tasks_of_envpool_are_numbered():
    assert list(name_tasks([EnvPoolMixin(), EnvPoolMixin()])) == ["task-0", "task-1"]
