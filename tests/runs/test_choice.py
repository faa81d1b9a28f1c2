import pytest

from sb3_distral.errors import UsageError
from sb3_distral.runs import TaskChoice


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (TaskChoice(), "Got no task"),
        (TaskChoice(suite="maze"), "There is no suite 'maze'; expected one of .*'grid-mazes'"),
        (TaskChoice(suite="two-rooms", envs=("CartPole-v1",)), "--suite two-rooms together with --envs CartPole-v1"),
        (TaskChoice(envs=("missing_module:CartPole-v1",)), "missing_module"),
        (TaskChoice(envs=("CartPole-v1",), suite_arguments={"size": 9}), "--suite-arguments size=9 .* without --suite"),
        (TaskChoice(suite="grid-mazes", suite_arguments={"n_tasks": 30, "size": 99}), r"30 mazes of size 99.*20000000"),
        (TaskChoice(suite="two-rooms", suite_arguments={"size": 9}), r"'size=9'.*\['goal_seed', 'n_tasks'\]"),
        (TaskChoice(suite="grid-mazes", suite_arguments={"maze_seed": -1}), "'maze_seed=-1'; expected a natural"),
    ],
)
def test_wrong_choices_are_refused(choice, message):
    with pytest.raises(UsageError, match=message):
        choice.make_env(1)


def test_a_suite_with_its_defaults_spelled_out_is_the_same():
    default = TaskChoice(suite="grid-mazes")
    assert default.is_same(TaskChoice(suite="grid-mazes", suite_arguments={"n_tasks": 8, "maze_seed": 0, "size": 13}))
    assert not default.is_same(TaskChoice(suite="grid-mazes", suite_arguments={"maze_seed": 1}))
    assert not default.is_same(TaskChoice(envs=("sb3_distral/GridMaze-0-v0",)))


@pytest.mark.parametrize(
    ("choice", "n_episodes", "n_envs"),
    [
        (TaskChoice(suite="grid-mazes"), 64, 32),
        (TaskChoice(suite="grid-mazes"), 33, 11),
        (TaskChoice(envs=("CartPole-v1",)), 64, 1),
    ],
)
def test_as_many_environments_as_an_evaluation_needs(choice, n_episodes, n_envs):
    env = choice.make_eval_env(n_episodes)
    assert env.num_envs == n_envs * len(env.task_names)
