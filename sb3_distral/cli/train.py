"""``sb3-distral train``."""

from dataclasses import dataclass, field

from sb3_distral.cli.options import Algorithm, Folder, Learner, Policy, SuiteArguments, TaskOptions
from sb3_distral.runs import Training


@dataclass(kw_only=True)
class Train(TaskOptions, Training):
    """
    Train the task policies and the distilled policy.

    :param resume: Go on with the run in the folder; options that are not given are those it began with. The grid suites
        go on amid their episodes, other tasks begin new ones. Checkpoints can run code: the folder has to be yours, or
        of someone you trust
    """

    algorithm: Algorithm = Training.algorithm
    learner: Learner = Training.learner
    policy: Policy = Training.policy
    held_out: SuiteArguments = field(default_factory=dict)
    output: Folder = None
    resume: bool = False

    def run(self) -> None:
        """Train to the end and say what to do with the model."""
        path = self.train(self.resume)
        print(f"The model is {path}. Try it with: sb3-distral evaluate {self.folder}")
