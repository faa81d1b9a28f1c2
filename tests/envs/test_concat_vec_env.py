"""What concerns the parts of several VecEnvs side by side; test_task_vec_env.py holds the rest."""

import numpy as np
import pytest
from integration.toys import ScriptedVecEnv, Toy
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import RemoteVecEnv
from sb3_distral.envs.concat_vec_env import ConcatVecEnv


class Counted(DummyVecEnv):
    """It counts the questions, each of which would be a trip to a process."""

    def __init__(self, lengths):
        super().__init__([lambda length=length: Toy(length=length) for length in lengths])
        self.asked = []

    def get_attr(self, attr_name, indices=None):
        if attr_name != "render_mode":
            self.asked.append(("get_attr", indices))
        return super().get_attr(attr_name, indices)

    def env_method(self, method_name, *args, indices=None, **kwargs):
        self.asked.append(("env_method", indices))
        return super().env_method(method_name, *args, indices=indices, **kwargs)

    def env_is_wrapped(self, wrapper_class, indices=None):
        self.asked.append(("env_is_wrapped", indices))
        return super().env_is_wrapped(wrapper_class, indices)

    def set_attr(self, attr_name, value, indices=None):
        self.asked.append(("set_attr", indices))
        super().set_attr(attr_name, value, indices)


@pytest.fixture
def parts():
    return [Counted([1, 2]), Counted([3, 4, 5]), Counted([6])]


def test_each_part_is_asked_once_and_answers_come_in_order(parts):
    venv = ConcatVecEnv(parts)
    assert venv.get_attr("length", [4, 0, 2, 1, 4]) == [5, 1, 3, 2, 5]
    assert venv.env_method("name", "x", indices=[3, 1]) == ["x of 4 steps", "x of 2 steps"]
    assert venv.env_is_wrapped(Toy, [5, 0]) == [False, False]
    venv.set_attr("reward", 3.0, [2, 3])
    assert parts[0].asked == [("get_attr", [0, 1]), ("env_method", [1]), ("env_is_wrapped", [0])]
    assert parts[1].asked == [("get_attr", [2, 0, 2]), ("env_method", [1]), ("set_attr", [0, 1])]
    assert parts[2].asked == [("env_is_wrapped", [0])]


def test_indices_count_from_the_end_too_and_have_an_end(parts):
    venv = ConcatVecEnv(parts)
    assert venv.get_attr("length", [-1, -6]) == [6, 1]
    with pytest.raises(IndexError):
        venv.get_attr("length", [6])


def test_parts_of_several_render_modes_have_none_together():
    class Drawn(Toy):
        render_mode = "rgb_array"

    drawn, plain = DummyVecEnv([Drawn, Drawn]), DummyVecEnv([Toy])
    assert ConcatVecEnv([drawn, drawn]).render_mode == "rgb_array"
    both = ConcatVecEnv([drawn, plain])
    assert both.render_mode is None
    assert both.get_attr("render_mode") == [None] * 3


def test_an_attribute_has_to_be_in_every_part():
    venv = ConcatVecEnv([DummyVecEnv([Toy]), ScriptedVecEnv(1)])
    assert venv.has_attr("observation_space") and not venv.has_attr("length")


def test_a_remote_attribute_is_asked_for_where_it_is():
    """A bound method of an environment with a lock, say, cannot be sent."""

    class Unsendable(Toy):
        def __init__(self):
            super().__init__()
            self.function = lambda: None

        def method(self):
            return 0

    venv = ConcatVecEnv([RemoteVecEnv(lambda: DummyVecEnv([Unsendable]))])
    assert venv.has_attr("function") and venv.has_attr("method") and not venv.has_attr("width")
    venv.close()


def test_observations_of_several_types_keep_their_precision():
    class Double(ScriptedVecEnv):
        def observe(self):
            return super().observe().astype(np.float64) + 2.0**-40

    observations = ConcatVecEnv([ScriptedVecEnv(1), Double(1)]).reset()
    assert np.array_equal(observations[1], Double(1).reset()[0])
