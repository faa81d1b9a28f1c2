"""A plugin of pytest that gives the tests of Stable-Baselines3 the algorithms of this package in place of its own."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import pytest
import sb3_contrib
import stable_baselines3
from stable_baselines3 import A2C
from stable_baselines3.common.base_class import BaseAlgorithm

import sb3_distral
from sb3_distral.policies import DistralPolicy

#: Where the tests import each of the algorithms from
HOSTS: Mapping[str, Any] = {"A2C": stable_baselines3, "PPO": stable_baselines3, "RecurrentPPO": sb3_contrib}
#: Arguments that A2C in the place of a PPO does not have
OF_PPO = ("n_epochs", "batch_size", "clip_range_vf")
#: The algorithms of this run by the name that they have in the tests
STAND_INS: dict[str, type[BaseAlgorithm]] = {}
#: Those that the test that runs now has made
USED: set[str] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--swap",
        action="append",
        default=[],
        metavar="A2C=DistralA2C",
        help="an algorithm of the tests, and the one of sb3_distral that takes its place (or itself)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for swap in config.getoption("--swap"):
        name, _, stand_in = swap.partition("=")
        algorithm = getattr(HOSTS[name] if stand_in == name else sb3_distral, stand_in)
        prepare(name, algorithm)
        STAND_INS[name] = algorithm
        setattr(HOSTS[name], name, algorithm)
    DistralPolicy.features_extractor = property(features_of_the_task, lambda policy, value: None)  # type: ignore[assignment]
    DistralPolicy.net_arch = property(lambda policy: policy.distilled_policy.net_arch)  # type: ignore[attr-defined]


def features_of_the_task(policy: DistralPolicy) -> Any:
    """Where the tests look into the policy's one features extractor, they see that of the only task."""
    return policy.task_columns and policy.task_columns.features_extractor.extractors[0]


def prepare(name: str, algorithm: Any) -> None:
    make: Callable[..., None] = algorithm.__init__
    of_others = OF_PPO if name == "RecurrentPPO" and issubclass(algorithm, A2C) else ()

    @wraps(make)
    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        USED.add(name)
        make(self, *args, **{key: value for key, value in kwargs.items() if key not in of_others})

    algorithm.__init__ = noted
    # Folders of logs, warnings and the names of cases hold it.
    algorithm.__name__ = name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = [item for item in items if not may_use_stand_ins(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def may_use_stand_ins(item: Any) -> bool:
    """Whether a case is given a swapped algorithm, or its code or that of its fixtures names one and is given none."""
    parameters = list(item.callspec.params.values()) if hasattr(item, "callspec") else []
    if any(isinstance(value, type) and issubclass(value, BaseAlgorithm) for value in parameters):
        return any(value in STAND_INS.values() for value in parameters if isinstance(value, type))
    definitions = [fixture.func for own in item._fixtureinfo.name2fixturedefs.values() for fixture in own]
    return any(names_stand_in(function, set()) for function in [item.function, *definitions])


def names_stand_in(function: Any, seen: set[Any]) -> bool:
    code = getattr(function, "__code__", None)
    if code is None or function in seen:
        return False
    seen.add(function)
    if not set(STAND_INS).isdisjoint(code.co_names):
        return True
    named = [function.__globals__[name] for name in code.co_names if name in function.__globals__]
    helpers = [value for value in named if getattr(value, "__module__", "") == function.__module__]
    return any(map(holds_stand_in, named)) or any(names_stand_in(helper, seen) for helper in helpers)


def holds_stand_in(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(map(holds_stand_in, value))
    return any(value is algorithm for algorithm in STAND_INS.values())


@pytest.fixture(autouse=True)
def used_algorithms(record_property: Callable[[str, object], None]) -> Iterator[None]:
    USED.clear()
    yield
    record_property("algorithms", " ".join(sorted(USED)))
