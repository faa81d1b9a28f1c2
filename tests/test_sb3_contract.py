"""
What the package needs of other libraries beyond what they document: private names, the order of calls, habits.

An upgrade that changes one of them fails here first, and says what it is needed for.
"""

import ast
import inspect
import io
import json
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3 import A2C, PPO
from stable_baselines3.common import base_class, callbacks, distributions, evaluation, utils
from stable_baselines3.common import vec_env as stable_vec_env
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, CheckpointCallback, EvalCallback
from stable_baselines3.common.logger import HumanOutputFormat
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import (
    CloudpickleWrapper,
    DummyVecEnv,
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
    vec_frame_stack,
)
from stable_baselines3.common.vec_env.stacked_observations import StackedObservations

import sb3_distral
from sb3_distral.envs import state

PACKAGE = Path(sb3_distral.__file__).parent
ALGORITHMS = {"A2C": (A2C, "MlpPolicy"), "RecurrentPPO": (RecurrentPPO, "MlpLstmPolicy")}


class DictEnv(gym.Env[Any, Any]):
    """Episodes of three steps, cut off by the time limit, with observations of a dict."""

    observation_space = spaces.Dict({"obs": spaces.Box(0.0, 1.0, (2,))})
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return {"obs": np.zeros(2, dtype=np.float32)}, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return {"obs": np.zeros(2, dtype=np.float32)}, 1.0, False, self.steps == 3, {}


def a2c(**arguments: Any) -> A2C:
    return A2C(ActorCriticPolicy, "CartPole-v1", n_steps=2, device="cpu", **arguments)


def recurrent_ppo() -> RecurrentPPO:
    return RecurrentPPO("MlpLstmPolicy", "CartPole-v1", n_steps=2, batch_size=2, device="cpu")


def ppo() -> PPO:
    return PPO("MlpPolicy", "CartPole-v1", n_steps=2, batch_size=2, clip_range_vf=0.1, device="cpu")


def box_policy(share_features_extractor: bool = True) -> ActorCriticPolicy:
    policy_kwargs = {"share_features_extractor": share_features_extractor}
    return A2C(ActorCriticPolicy, "Pendulum-v1", policy_kwargs=policy_kwargs, device="cpu").policy


def vec_env() -> VecEnv:
    return DummyVecEnv([DictEnv])


def box_vec_env() -> VecEnv:
    return DummyVecEnv([lambda: gym.make("CartPole-v1")])


def recurrent_policy() -> BasePolicy:
    return recurrent_ppo().policy


# Names


class Method(NamedTuple):
    """A method or function that is overridden or called, with its parameters as they are passed."""

    owner: Any
    name: str
    parameters: str
    reason: str


METHODS = [
    Method(A2C, "_wrap_env", "env verbose monitor_wrapper", "constructor, load and set_env pass the tasks through it"),
    Method(A2C, "_setup_model", "", "costs and columns are made where the model is, after a load too"),
    Method(
        A2C,
        "_setup_learn",
        "total_timesteps callback reset_num_timesteps tb_log_name progress_bar",
        "the returns of each task are forgotten together with those of all",
    ),
    Method(
        A2C, "_maybe_recommend_cpu", "mlp_class_name", "vectors on a GPU are advised against by the name of the policy"
    ),
    Method(A2C, "_init_callback", "callback progress_bar", "the distillation is put before the user's callbacks"),
    Method(A2C, "_update_info_buffer", "infos dones", "the returns of each task are kept beside those of all"),
    Method(A2C, "_update_learning_rate", "optimizers", "an update follows the schedule of the learning rate"),
    Method(
        A2C,
        "_update_current_progress_remaining",
        "num_timesteps total_timesteps",
        "schedules of alpha and beta need the progress at the beginning of a roll-out",
    ),
    Method(A2C, "_excluded_save_params", "", "costs and callbacks are made anew and stay out of a file"),
    Method(A2C, "_get_torch_save_params", "", "the optimizer of the distilled policy goes into the file"),
    Method(A2C, "dump_logs", "iteration", "the numbers of each task are written with those of all"),
    Method(A2C, "collect_rollouts", "env callback rollout_buffer n_rollout_steps", "costs are set before a roll-out"),
    Method(
        RecurrentPPO, "collect_rollouts", "env callback rollout_buffer n_rollout_steps", "it is called on our class"
    ),
    Method(DictRolloutBuffer, "_get_samples", "batch_inds env", "the rows of a batch are put in order of task"),
    Method(
        RecurrentDictRolloutBuffer,
        "_get_samples",
        "batch_inds env_change env",
        "sequences stay whole, in order of task",
    ),
    Method(BasePolicy, "_predict", "observation deterministic", "predict of a policy of a task or of all comes here"),
    Method(
        RecurrentActorCriticPolicy,
        "_predict",
        "observation lstm_states episode_starts deterministic",
        "predict of a policy with memory comes here",
    ),
    Method(
        RecurrentActorCriticPolicy,
        "predict",
        "observation state episode_start deterministic",
        "policies with memory borrow it",
    ),
    Method(BasePolicy, "_get_constructor_parameters", "", "policies are saved and loaded alone"),
    Method(
        ActorCriticPolicy, "_get_action_dist_from_latent", "latent_pi", "masks restrict the distribution of a column"
    ),
    Method(
        ActorCriticPolicy, "_build", "lr_schedule", "a column puts another distribution in place before its networks"
    ),
    Method(
        distributions.DiagGaussianDistribution,
        "proba_distribution_net",
        "latent_dim log_std_init",
        "standard deviations that depend on the state are outputs of the network too",
    ),
    Method(
        distributions.DiagGaussianDistribution,
        "proba_distribution",
        "mean_actions log_std",
        "standard deviations that depend on the state come with the means",
    ),
    *(
        Method(kind, "proba_distribution", "action_logits", "the logits of a policy become a distribution")
        for kind in (
            distributions.CategoricalDistribution,
            distributions.MultiCategoricalDistribution,
            distributions.BernoulliDistribution,
        )
    ),
    Method(
        distributions,
        "make_proba_distribution",
        "action_space use_sde dist_kwargs",
        "the parameters of a policy become a distribution",
    ),
    Method(BasePolicy, "_dummy_schedule", "progress_remaining", "a policy outside of a training needs a learning rate"),
    Method(
        BasePolicy,
        "extract_features",
        "obs features_extractor",
        "a column takes the steps of get_distribution",
    ),
    Method(BaseCallback, "_on_training_start", "", "the environment is looked at once, before a prior is annealed"),
    Method(BaseCallback, "_on_rollout_start", "", "checkpoints are written between roll-outs"),
    Method(BaseCallback, "_on_step", "", "evaluations take place after steps"),
    Method(BaseCallback, "_on_rollout_end", "", "the alternating distillation takes place at the end of a roll-out"),
    Method(CheckpointCallback, "_checkpoint_path", "checkpoint_type extension", "checkpoints are named as by SB3"),
    Method(
        StackedObservations,
        "__init__",
        "num_envs n_stack observation_space channels_order",
        "frames are stacked beside the task",
    ),
    Method(StackedObservations, "reset", "observation", "frames are stacked beside the task"),
    Method(StackedObservations, "update", "observations dones infos", "frames are stacked beside the task"),
    Method(VecNormalize, "_sanity_checks", "", "around tasks it chooses and checks what is normalised"),
    Method(VecNormalize, "__setstate__", "state", "statistics of several tasks are pooled in a copy"),
    Method(stable_vec_env, "sync_envs_normalization", "env eval_env", "statistics are copied as EvalCallback does"),
    Method(VecTransposeImage, "transpose_space", "observation_space key", "a policy sees images channel first"),
    Method(VecEnv, "_get_indices", "indices", "attributes of single sub-environments are read and set"),
    Method(VecEnv, "_reset_seeds", "", "suites use a seed once"),
    Method(VecEnv, "_reset_options", "", "suites use options once"),
    Method(base_class, "maybe_make_env", "env verbose", "ids of gymnasium become environments as SB3 makes them"),
    Method(utils, "explained_variance", "y_pred y_true", "an update logs it as A2C does"),
    Method(utils, "safe_mean", "arr", "returns are logged as SB3 does"),
    Method(utils, "obs_as_tensor", "obs device", "the distillation reads the observations of the buffer"),
    Method(utils, "update_learning_rate", "optimizer learning_rate", "the distilled policy has its own optimizer"),
]


def parameters_of(function: Any) -> str:
    return " ".join(name for name in inspect.signature(function).parameters if name != "self")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.owner.__name__}.{method.name}")
def test_methods(method: Method) -> None:
    where = f"{method.owner.__name__}.{method.name} changed: we need it because {method.reason}"
    assert hasattr(method.owner, method.name), where
    assert parameters_of(getattr(method.owner, method.name)) == method.parameters, where


class Attribute(NamedTuple):
    """An attribute of an object that is ready for use."""

    make: Callable[[], Any]
    name: str
    reason: str


ATTRIBUTES = [
    Attribute(a2c, "_last_obs", "a training that goes on begins at the observations where it stopped"),
    Attribute(a2c, "_last_episode_starts", "a training that goes on knows where episodes begin"),
    Attribute(a2c, "_n_updates", "updates are counted and logged as by A2C"),
    Attribute(a2c, "_current_progress_remaining", "alpha, beta and learning rates follow the progress"),
    Attribute(a2c, "_total_timesteps", "the progress is known before the first roll-out"),
    Attribute(a2c, "_stats_window_size", "the returns of each task are means over as many episodes"),
    Attribute(a2c, "ep_info_buffer", "an empty one tells that the counters were reset"),
    Attribute(recurrent_ppo, "_last_lstm_states", "the loop of sb3-contrib begins a roll-out with them"),
    *(
        Attribute(make, name, "an update is that of the host with the losses of Distral")
        for make in (a2c, ppo)
        for name in (
            *("n_steps", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage", "lr_schedule", "verbose"),
            *("policy_aliases", "policy_class", "policy_kwargs", "rollout_buffer", "rollout_buffer_class"),
        )
    ),
    *(
        Attribute(ppo, name, "DistralPPO passes over its minibatches by these")
        for name in ("batch_size", "n_epochs", "target_kl")
    ),
    *(
        Attribute(lambda: a2c().rollout_buffer, name, "updates and logs read the roll-out, the distillation too")
        for name in (
            *("observations", "actions", "values", "log_probs", "advantages", "returns", "episode_starts"),
            *("swap_and_flatten", "to_torch"),
        )
    ),
    Attribute(lambda: VecFrameStack(box_vec_env(), 2), "stacked_obs", "the frames are a part of the place in a task"),
    Attribute(
        lambda: VecFrameStack(box_vec_env(), 2).stacked_obs, "stacked_observation_space", "the task is put into it"
    ),
    Attribute(lambda: CloudpickleWrapper(vec_env), "var", "a process makes its environments by it"),
    Attribute(lambda: CallbackList([]), "callbacks", "the distillation is looked for among the user's callbacks"),
    Attribute(a2c, "_vec_normalize_env", "tasks that come and go leave the model another environment"),
    Attribute(vec_env, "_seeds", "suites and joined environments hand seeds on"),
    Attribute(vec_env, "_options", "joined environments hand reset options on"),
    Attribute(vec_env, "reset_infos", "joined environments hand reset infos on"),
    *(
        Attribute(make, name, "a column is evaluated without its distribution object")
        for make in (lambda: a2c().policy, recurrent_policy)
        for name in (
            *("action_net", "value_net", "mlp_extractor", "share_features_extractor", "pi_features_extractor"),
            *("vf_features_extractor", "features_extractor", "normalize_images"),
        )
    ),
    *(
        Attribute(lambda: a2c().policy.mlp_extractor, name, "columns are stacked layer by layer")
        for name in ("policy_net", "value_net", "forward_actor")
    ),
    *(
        Attribute(lambda: a2c().policy, name, "one optimizer of the same kind takes all columns")
        for name in ("optimizer", "optimizer_class", "optimizer_kwargs")
    ),
    Attribute(lambda: a2c().policy, "action_dist", "a column puts another distribution in its place"),
    Attribute(box_policy, "log_std_init", "standard deviations that depend on the state begin there"),
    Attribute(box_policy, "log_std", "a normal policy has free standard deviations"),
    Attribute(recurrent_policy, "lstm_actor", "a column runs its LSTM over whole sequences"),
    Attribute(recurrent_policy, "lstm_hidden_state_shape", "the memory of all columns has their form"),
]


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda attribute: attribute.name)
def test_attributes(attribute: Attribute) -> None:
    owner = attribute.make()
    assert hasattr(owner, attribute.name), (
        f"{type(owner).__name__}.{attribute.name} is gone: we need it because {attribute.reason}"
    )


#: Names of our own that other classes of SB3 or PyTorch happen to have too.
OWN_NAMES = {"_parameters"}


def test_no_private_name_is_used_that_is_not_named_here() -> None:
    """A new seam needs a line above, with its reason."""
    nodes = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    owners: list[Any] = [a2c(), ppo(), recurrent_ppo(), box_policy(), recurrent_policy(), vec_env(), DictRolloutBuffer]
    owners += [RecurrentDictRolloutBuffer, VecEnvWrapper, VecFrameStack, VecNormalize, StackedObservations]
    owners += [distributions.DiagGaussianDistribution, CheckpointCallback, gym.Wrapper]
    foreign = {name for owner in owners for name in dir(owner) if name.startswith("_") and not name.endswith("__")}
    named = {seam.name for seam in (*METHODS, *ATTRIBUTES)}
    assert used & foreign <= named | OWN_NAMES, "private names of SB3, sb3-contrib or gymnasium without a reason here"


# The order of calls


ORDER = [
    ("reset of the buffer", "_on_rollout_start", "a checkpoint between roll-outs loses nothing"),
    ("_on_rollout_start", "forward", "a checkpoint holds the parameters that collect the next roll-out"),
    ("forward", "step_async", "rewards are regularised by the pass that chose the actions"),
    ("step_async", "step_wait", "rewards are regularised when the step is done"),
    ("step_wait", "_on_step", "callbacks find the step that was taken"),
    ("step_wait", "_update_info_buffer", "the infos of a step tell the returns of its tasks"),
    ("_update_info_buffer", "dump_logs", "the log of a roll-out holds the episodes that ended in it"),
    ("compute_returns_and_advantage", "_on_rollout_end", "the distillation finds the roll-out complete"),
    ("_on_rollout_end", "train", "the tasks train against the distilled policy that was fitted"),
    ("_update_current_progress_remaining", "train", "the update follows schedules to the end of the roll-out"),
]


def traced(events: list[str], owner: Any, name: str, event: str | None = None) -> None:
    """Note each call of a method."""
    original = getattr(owner, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        events.append(event or name)
        return original(*args, **kwargs)

    setattr(owner, name, noted)


class Nothing(BaseCallback):
    def _on_step(self) -> bool:
        return True


@pytest.fixture(scope="module", params=ALGORITHMS)
def events(request: pytest.FixtureRequest) -> list[str]:
    """Calls of one iteration with two steps."""
    algorithm_class, policy = ALGORITHMS[request.param]
    model: Any = algorithm_class(policy, "CartPole-v1", n_steps=2, device="cpu")
    seen: list[str] = []
    callback = Nothing()
    for owner, names in (
        (model, ("_update_info_buffer", "_update_current_progress_remaining", "dump_logs", "train")),
        (callback, ("_on_rollout_start", "_on_step", "_on_rollout_end")),
        (model.policy, ("forward",)),
        (model.env, ("step_async", "step_wait")),
        (model.rollout_buffer, ("compute_returns_and_advantage",)),
    ):
        for name in names:
            traced(seen, owner, name)
    traced(seen, model.rollout_buffer, "reset", "reset of the buffer")
    model.learn(2, callback, log_interval=1)
    return seen


@pytest.mark.parametrize(("first", "second", "reason"), ORDER)
def test_order_of_calls(events: list[str], first: str, second: str, reason: str) -> None:
    assert {first, second} <= set(events), f"{first} or {second} is not called any more: {reason}"
    assert events.index(first) < events.index(second), f"{first} does not come before {second} any more: {reason}"


def test_one_forward_pass_for_each_step(events: list[str]) -> None:
    before_update = events[: events.index("train")]
    assert before_update.count("forward") == before_update.count("step_async") == 2, (
        "a forward pass that takes no step would overwrite the outputs that rewards are regularised with"
    )


def test_load_calls_the_constructor_by_keyword_and_sets_the_model_up_last(tmp_path: Path) -> None:
    calls: list[Any] = []

    class Noted(A2C):
        def __init__(self, *args: Any, **kwargs: Any):
            calls.append(("__init__", len(args), sorted(kwargs)))
            super().__init__(*args, **kwargs)

        @staticmethod
        def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
            calls.append("_wrap_env")
            return A2C._wrap_env(env, verbose, monitor_wrapper)

        def _setup_model(self) -> None:
            calls.append(f"_setup_model after {self.num_timesteps} steps")
            super()._setup_model()

    Noted(ActorCriticPolicy, "CartPole-v1", n_steps=2, device="cpu").learn(2).save(tmp_path / "model")
    calls.clear()
    Noted.load(tmp_path / "model", env=DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    constructor = ("__init__", 0, ["_init_setup_model", "device", "env", "policy"])
    assert calls == ["_wrap_env", constructor, "_wrap_env", "_setup_model after 2 steps"], (
        "load changed: our constructor must take these keywords, and the saved attributes must be there at the set-up"
    )


def test_set_env_wraps() -> None:
    model, calls = a2c(), []
    traced(calls, model, "_wrap_env")
    model.set_env(DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    assert calls == ["_wrap_env"], "set_env does not wrap any more: rewards would not be regularised after it"


# Habits


def test_a2c_chooses_its_optimizer_where_the_arguments_of_the_policy_name_none() -> None:
    assert a2c().policy_kwargs == {
        "optimizer_class": th.optim.RMSprop,
        "optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5, "weight_decay": 0},
    }, "docs and tests name this as A2C's own optimizer, which stays reachable"
    named = a2c(policy_kwargs={"optimizer_class": th.optim.SGD}).policy_kwargs
    assert named == {"optimizer_class": th.optim.SGD}, "A2C would replace our bias-corrected RMSProp by its own"


def test_ppo_turns_its_clip_ranges_into_schedules() -> None:
    model: Any = ppo()
    reason = "DistralPPO reads its clip ranges at the progress of the training"
    assert (model.clip_range(1.0), model.clip_range_vf(1.0)) == (0.2, 0.1), reason
    assert PPO("MlpPolicy", "CartPole-v1", device="cpu").clip_range_vf is None, "without it values are not clipped"


def test_a_policy_makes_its_read_out_by_the_distribution_that_is_there_when_it_is_built() -> None:
    class Wide(distributions.DiagGaussianDistribution):
        def proba_distribution_net(self, latent_dim: int, log_std_init: float = 0.0) -> Any:
            return th.nn.Linear(latent_dim, 5), None

        def proba_distribution(self, mean_actions: th.Tensor, log_std: Any) -> Any:
            assert log_std is None
            return super().proba_distribution(mean_actions[:, :1], th.zeros(1))

    class Own(ActorCriticPolicy):
        def _build(self, lr_schedule: Any) -> None:
            self.action_dist = Wide(1)
            super()._build(lr_schedule)

    policy = A2C(Own, "Pendulum-v1", device="cpu").policy
    assert isinstance(policy.action_net, th.nn.Linear) and policy.action_net.out_features == 5, (
        "action_dist is not what makes the read-out any more: a column could not put another in its place"
    )
    assert policy.get_distribution(th.zeros(2, 3)).mode().shape == (2, 1), "its outputs do not come to action_dist"


def test_standard_deviations_are_a_vector_of_normal_policies_alone() -> None:
    assert box_policy().log_std.shape == (1,), "log_std is put beside the means of each row"
    assert not hasattr(a2c().policy, "log_std"), "log_std tells normal policies from others"


def test_distributions_hold_those_of_pytorch() -> None:
    rows = th.zeros(2, 4)
    one = distributions.CategoricalDistribution(4).proba_distribution(action_logits=rows).distribution
    several = distributions.MultiCategoricalDistribution([2, 2]).proba_distribution(action_logits=rows).distribution
    assert one.logits.shape == (2, 4), "the prior among fewer actions is read from the logits"
    assert [component.logits.shape for component in several] == [(2, 2)] * 2, "likewise, component by component"


def test_a_frame_stack_makes_its_observations_by_the_name_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def make(*arguments: Any) -> Any:
        made.append(arguments)
        return StackedObservations(*arguments)

    monkeypatch.setattr(vec_frame_stack, "StackedObservations", make)
    venv = box_vec_env()
    VecFrameStack(venv, 2)
    assert made == [(1, 2, venv.observation_space, None)], (
        "VecFrameStack does not look StackedObservations up in its module any more: it would refuse tasks"
    )


def test_eval_callback_synchronises_by_the_name_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(callbacks, "sync_envs_normalization", lambda *envs: calls.append(envs))
    env, eval_env = (VecNormalize(box_vec_env()) for _ in range(2))
    A2C("MlpPolicy", env, device="cpu").learn(5, EvalCallback(eval_env, n_eval_episodes=1, eval_freq=5, verbose=0))
    assert calls == [(env, eval_env)], "EvalCallback would not know the statistics of single tasks"


def test_a_vec_normalize_checks_its_keys_before_it_makes_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(layer: VecNormalize) -> None:
        layer.norm_obs_keys = ["obs"]

    monkeypatch.setattr(VecNormalize, "_sanity_checks", choose)
    assert list(VecNormalize(DummyVecEnv([DictEnv])).obs_rms) == ["obs"], "tasks would need norm_obs_keys"  # type: ignore[arg-type]


def box_of_images() -> VecEnv:
    class Images(DictEnv):
        observation_space = spaces.Box(0, 255, (36, 36, 3), np.uint8)  # type: ignore[assignment]

    return DummyVecEnv([Images])


WRAPPERS: dict[type[VecEnvWrapper], Callable[[], VecEnvWrapper]] = {
    VecTransposeImage: lambda: VecTransposeImage(box_of_images()),
    VecMonitor: lambda: VecMonitor(box_vec_env()),
    VecNormalize: lambda: VecNormalize(box_vec_env()),
    VecFrameStack: lambda: VecFrameStack(box_vec_env(), 2),
}


@pytest.mark.parametrize("kind", state.PLACE, ids=lambda kind: kind.__name__)
def test_wrappers_keep_their_place_under_names_that_are_saved(kind: type[VecEnvWrapper]) -> None:
    wrapper = WRAPPERS[kind]()
    if kind is not VecTransposeImage:
        wrapper.reset()
        wrapper.step(np.zeros(1, dtype=int))
    lacking = {*state.PLACE[kind], *state.STATISTICS.get(kind, ())} - set(vars(wrapper))
    assert not lacking, f"{kind.__name__} keeps no {lacking} any more: a training would not go on where it stopped"


def test_names_of_policies_are_refused_for_dict_observations_and_classes_are_not() -> None:
    with pytest.raises(ValueError):
        A2C("MlpPolicy", vec_env())
    A2C("MultiInputPolicy", vec_env(), _init_setup_model=False)
    # A class says itself what it takes; so choose_policy_class turns names into classes.
    A2C(type("Own", (BasePolicy,), {"_predict": None}), vec_env(), _init_setup_model=False)


def filled(buffer: Any, **arguments: Any) -> Any:
    for step in range(3):
        values = {"obs": np.full((2, 2), step, dtype=np.float32)}
        tensors = th.zeros(2), th.zeros(2)
        buffer.add(values, np.full((2, 1), step), np.zeros(2), np.zeros(2), *tensors, **arguments)
    return buffer


def test_a_roll_out_is_shuffled_by_one_draw_and_flattened_by_sub_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = filled(DictRolloutBuffer(3, DictEnv.observation_space, DictEnv.action_space, "cpu", n_envs=2))
    seen = []
    monkeypatch.setattr(buffer, "_get_samples", lambda *args: seen.append(args))
    np.random.seed(1)
    list(buffer.get(batch_size=None))
    after = np.random.get_state()[1:3]
    np.random.seed(1)
    order = np.random.permutation(6)
    assert len(seen) == 1 and (np.sort(seen[0][0]) == np.arange(6)).all(), "an update takes the whole roll-out at once"
    assert (seen[0][0] == order).all(), "the order is one permutation by numpy's generator, which moves as under A2C"
    assert all(np.array_equal(*pair) for pair in zip(after, np.random.get_state()[1:3], strict=True))
    assert buffer.actions.flatten().tolist() == [0, 1, 2, 0, 1, 2], "rows come sub-environment by sub-environment"


def test_a_recurrent_buffer_takes_states_that_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (3, 0, 2, 0)
    spaces_given = (DictEnv.observation_space, DictEnv.action_space)
    buffer = RecurrentDictRolloutBuffer(3, *spaces_given, hidden_state_shape=shape, device="cpu", n_envs=2)
    none = th.zeros(0, 2, 0)
    state = type("States", (), {"pi": (none, none), "vf": (none, none)})
    assert buffer.pos == 0, "the first state of a roll-out is kept when pos is 0"
    filled(buffer, lstm_states=state)
    seen = []
    monkeypatch.setattr(buffer, "_get_samples", lambda *args: seen.append(args))
    assert not buffer.generator_ready, "generator_ready tells whether episode_starts are flat"
    list(buffer.get(batch_size=None))
    assert buffer.generator_ready and buffer.episode_starts.shape[0] == 6, "rows of episode_starts are flat after get"
    assert [len(args) for args in seen] == [2], "an update takes the whole roll-out at once"


def attributes_of_self(function: Any) -> set[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "self"}


@pytest.mark.parametrize(
    ("borrowed", "owner", "own"),
    [
        (RecurrentPPO.collect_rollouts, a2c, {"_last_lstm_states"}),
        (RecurrentActorCriticPolicy.predict, lambda: a2c().policy, {"lstm_hidden_state_shape"}),
    ],
    ids=["collect_rollouts", "predict"],
)
def test_borrowed_methods_need_nothing_that_the_borrower_lacks(borrowed: Any, owner: Any, own: set[str]) -> None:
    """They are called on classes that do not derive from their own."""
    lacking = {name for name in attributes_of_self(borrowed) - own if not hasattr(owner(), name)}
    assert not lacking, f"{borrowed.__qualname__} needs {lacking} too: the class that borrows it must have them"


def test_a_save_leaves_out_what_is_made_anew_and_keeps_the_optimizer_by_a_dotted_name(tmp_path: Path) -> None:
    model = a2c()
    excluded = model._excluded_save_params()
    assert isinstance(excluded, list) and {"env", "policy", "rollout_buffer"} <= set(excluded), "we add to this list"
    assert model._get_torch_save_params() == (["policy", "policy.optimizer"], []), (
        "the optimizer of the distilled policy is added by a dotted name"
    )
    model.save(tmp_path / "model")
    data, parameters, _ = load_from_zip_file(tmp_path / "model.zip", device="cpu")
    assert data is not None and "n_steps" in data and set(parameters) == {"policy", "policy.optimizer"}
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert json.loads(archive.read("data"))["n_steps"] == 2, "numbers are read before the model is loaded"


def test_the_callback_of_evaluate_policy_sees_each_step() -> None:
    seen: list[set[str]] = []
    evaluation.evaluate_policy(a2c(), a2c().get_env(), 1, callback=lambda own, _: seen.append(set(own)), warn=False)
    assert seen and {"i", "info", "reward", "done"} <= seen[0], "evaluate_tasks sorts returns by task with these"


def test_a_wrapper_passes_attributes_of_what_it_wraps_on() -> None:
    class Plain(VecEnvWrapper):
        def reset(self) -> Any:
            return self.venv.reset()

        def step_wait(self) -> Any:
            return self.venv.step_wait()

    venv: Any = vec_env()
    venv.task_names = ["one"]
    assert Plain(Plain(venv)).task_names == ["one"], "names and indices of tasks are read through other wrappers"


def test_a_seed_is_kept_for_the_next_reset_and_drawn_by_numpy_where_none_is_given() -> None:
    venv = DummyVecEnv([DictEnv, DictEnv])
    assert list(venv.seed(3)) == venv._seeds == [3, 4], "sub-environment j is seeded with seed + j"
    venv.reset()
    assert venv._seeds == [None, None], "a seed is used once"
    draws = []
    for _ in range(2):
        np.random.seed(5)
        draws.append(list(venv.seed()))
    assert draws[0] == draws[1], "a training draws the seed of its environments from numpy's generator"


def test_the_printed_table_cuts_keys_off_and_refuses_equal_ones() -> None:
    table = HumanOutputFormat(io.StringIO())
    assert table.max_length == 36, "numbers of tasks with longer names are left out of the printed table"
    with pytest.raises(ValueError):
        table.write(
            {f"rollout/{'x' * 40}/{key}": 1.0 for key in "ab"}, {f"rollout/{'x' * 40}/{key}": () for key in "ab"}
        )


# MiniWorld


@pytest.fixture(scope="module")
def rendering() -> Any:
    return pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)


@pytest.mark.parametrize(
    ("place", "parameters", "reason"),
    [
        ("own_render_static", "", "the list is compiled in the context of its environment"),
        ("own_render_world", "frame_buffer render_agent", "an environment without a list compiles it first"),
        ("own_close", "", "buffers, list and context are freed after it"),
        ("miniworld.Room._gen_static_data", "params rng", "walls of blocks are put in place of those of a room"),
        ("ENV._gen_world", "", "the suites build their worlds in it"),
    ],
)
def test_methods_of_miniworld(rendering: Any, place: str, parameters: str, reason: str) -> None:
    function = rendering
    for name in place.split("."):
        function = getattr(function, name)
    assert parameters_of(function) == parameters, f"MiniWorld's {place} changed: {reason}"


def test_miniworld_draws_by_the_fixed_list_1_and_by_these_names_only(rendering: Any) -> None:
    tree = ast.parse(inspect.getsource(rendering.miniworld))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = ("glNewList", "glCallList", "glCallLists", "glDeleteLists", "glGenLists")
    by_list = sorted(ast.unparse(call) for call in calls if ast.unparse(call.func) in names)
    assert by_list == ["glCallList(1)", "glDeleteLists(1, 1)", "glNewList(1, GL_COMPILE)"], (
        "MiniWorld's use of display lists changed: we give each environment a list of its own in place of list 1"
    )


def test_an_environment_of_miniworld_has_what_is_freed_when_it_is_closed(rendering: Any) -> None:
    env = gym.make("MiniWorld-Hallway-v0", **rendering.WINDOW).unwrapped
    for name in ("shadow_window", "obs_fb", "vis_fb", "agent", "rooms", "entities", "step_count"):
        assert hasattr(env, name), f"MiniWorldEnv.{name} is gone: we draw with it, count with it or free it"
    for name in ("multi_fbo", "final_fbo"):
        assert hasattr(env.obs_fb, name), f"FrameBuffer.{name} is gone: we free it when an environment is closed"
    env.close()


def test_textures_of_miniworld_are_loaded_by_pyglet(rendering: Any) -> None:
    source = inspect.getsource(rendering.opengl)
    assert "pyglet.image.load(" in source, "MiniWorld loads textures otherwise: we replace pyglet.image.load there"
