"""
A training as files: options, a folder, going on after an interruption, evaluation.

.. code-block:: python

    from pathlib import Path
    from sb3_distral.runs import TaskChoice, Training, evaluate, load_model

    training = Training(suite="grid-mazes", algorithm="KL_2col", output=Path("runs/mazes"))
    model = load_model(training.train(resume=True))
    evaluation = evaluate(training.folder, TaskChoice(suite_arguments={"maze_seed": 1}))    # π0 in unseen mazes
    print(evaluation.returns)

``sb3-distral train`` and ``evaluate`` are these two. What they report on their way goes to Python's ``logging``, under
the name of the package.
"""

from sb3_distral.runs.choice import TaskChoice
from sb3_distral.runs.evaluating import DISTILLED_POLICY, TASK_POLICY, Evaluation, Returns, evaluate
from sb3_distral.runs.models import LEARNERS, POLICIES, load_model
from sb3_distral.runs.training import Training

__all__ = [
    "DISTILLED_POLICY",
    "LEARNERS",
    "POLICIES",
    "TASK_POLICY",
    "Evaluation",
    "Returns",
    "TaskChoice",
    "Training",
    "evaluate",
    "load_model",
]
