"""
The paper's experiments, on the public API of :mod:`sb3_distral`: one package for each study, what they share in one.

``python -m experiments.two_rooms``, ``python -m experiments.figure4`` and ``python -m experiments.mazes`` run a study
and draw it, from the root of the repository.
"""

from importlib.util import find_spec

_MISSING = [name for name in ("joblib", "matplotlib", "pandas", "rliable", "scipy") if find_spec(name) is None]
if _MISSING:
    raise ImportError(f"The experiments need {', '.join(_MISSING)}: pip install sb3-distral[experiments]")
