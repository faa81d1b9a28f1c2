"""
The commands of the RL Zoo with the Distral algorithms and the suites of tasks (extra ``zoo``).

.. code-block:: bash

    python -m sb3_distral.zoo train --algo distral_a2c --env grid-mazes --eval-freq 6400 --eval-episodes 64
    python -m sb3_distral.zoo enjoy --algo distral_a2c --env grid-mazes -f logs --env-kwargs task:3 --no-render
    python -m sb3_distral.zoo train --algo distral_a2c --env grid-mazes -optimize --n-trials 20 --n-timesteps 100000
    python -m sb3_distral.zoo plot_train -a distral_a2c -e grid-mazes -f logs

All options are the zoo's. ``--env`` takes the name of a suite, or the id of a single task as ever.
"""

from sb3_distral.zoo.commands import main

__all__ = ["main"]
