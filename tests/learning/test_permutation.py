import pytest

from .permutation import permutation_p


def test_permutation_of_separated_runs() -> None:
    assert permutation_p([5, 6, 7, 8], [1, 2, 3, 4]) == pytest.approx(1 / 70)
    assert permutation_p([1, 2, 3, 4], [5, 6, 7, 8]) == 1.0
