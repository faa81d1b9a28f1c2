"""
Learning shown by an exact permutation test.

A claim compares the runs of two algorithms, one run a seed: of all ways to split the eight numbers into two groups of
four, 8! / (4! 4!) = 70, the share whose first group has a mean at least as large as the observed one. If all four
runs of one algorithm are above all four of the other the share is 1/70 = 0.014; with no difference between the
algorithms it is at most 0.05 in 3 of 70 cases (p = 3/70 = 0.043). A claim holds if the share is at most 0.05, so
chance alone makes each claim hold with probability 0.043.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def permutation_p(larger: Sequence[float], smaller: Sequence[float]) -> float:
    """
    :param larger: Results that are claimed to be larger
    :param smaller: Others
    :return: Share of the splits in which the first group's mean is at least as large as here
    """
    everything = np.array([*larger, *smaller])
    sums = [everything[list(split)].sum() for split in combinations(range(len(everything)), len(larger))]
    return float(np.mean(np.array(sums) >= np.sum(larger) - 1e-9))
