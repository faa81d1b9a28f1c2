"""The seven algorithms of Table 1 as data: names and the arguments of a Distral algorithm that make them.

The paper builds them on A3C; the same arguments make them of ``DistralPPO`` and of recurrent columns.

Rows of the table are α, columns the architecture. The A3C rows have the entropy bonus in the loss, as A3C has, in place
of the entropy-regularised return. α in the logits of A3C_2col is not given in the paper and only rescales the shared
read-out; it is 0.5 here.
"""

from typing import Any

from sb3_distral.errors import UsageError

DEFAULT_BETA = 100.0

_ROWS: dict[str, dict[str, Any]] = {
    "A3C_multitask": {"alpha": 0.0, "architecture": "shared"},
    "A3C": {"alpha": 0.0, "architecture": "one_column"},
    "A3C_2col": {"alpha": 0.0, "architecture": "two_columns", "distilled_weight": 0.5},
    "KL_1col": {"alpha": 1.0, "architecture": "one_column"},
    "KL_2col": {"alpha": 1.0, "architecture": "two_columns"},
    "KL+ent_1col": {"alpha": 0.5, "architecture": "one_column"},
    "KL+ent_2col": {"alpha": 0.5, "architecture": "two_columns"},
}


def algorithm_arguments(name: str, beta: float = DEFAULT_BETA) -> dict[str, Any]:
    """
    Give the arguments of a Distral algorithm that make one of Table 1 at the total cost 1/β.

    :param name: A name of Table 1
    :param beta: β = 1 / (c_KL + c_Ent); the A3C rows take 1/β as the entropy bonus in the loss
    :return: Keyword arguments
    :raises ValueError: If the name is unknown

    >>> algorithm_arguments("KL_2col", beta=30.0)
    {'alpha': 1.0, 'architecture': 'two_columns', 'beta': 30.0}
    """
    if name not in _ROWS:
        raise UsageError(f"There is no algorithm {name!r} in Table 1. Choose one of {sorted(_ROWS)}.")
    row = dict(_ROWS[name])
    if row["alpha"] == 0.0:
        return row | {"beta": float("inf"), "ent_coef": 1.0 / beta}
    return row | {"beta": beta}


ALGORITHMS: dict[str, dict[str, Any]] = {name: algorithm_arguments(name) for name in _ROWS}
