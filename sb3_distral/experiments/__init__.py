"""
The paper's experiments: studies as data, runs in parallel, their statistics and figures.

:mod:`~sb3_distral.experiments.study` says what is run, :mod:`~sb3_distral.experiments.training` does one run,
:mod:`~sb3_distral.experiments.runner` all of them, :mod:`~sb3_distral.experiments.results` reads them back.
"""

from importlib.util import find_spec

_MISSING = [name for name in ("joblib", "matplotlib", "pandas", "rliable") if find_spec(name) is None]
if _MISSING:
    raise ImportError(f"The experiments need {', '.join(_MISSING)}: pip install sb3-distral[experiments]")
