"""Pictures of several sub-environments as one, each under the number of its task."""

from collections.abc import Sequence
from math import ceil, isqrt

import numpy as np
import numpy.typing as npt

from sb3_distral.tasks.batched import Array

#: Width of a dot of a digit, and of the space around a picture, in pixels.
DOT, GAP = 3, 6
PAPER_COLOUR, INK_COLOUR = 255, 45
#: Digits of 3×5 dots, row by row.
_DIGITS = (
    *("### # # # # ###", " #  #  #  #  # ", "###  #### #  ###", "###  # ##  # ###"),
    *("# ## ####  #  # ",),
)
