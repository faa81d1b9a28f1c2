"""Roll-outs in order of task."""

import numpy as np
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.type_aliases import DictRolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize


class TaskRolloutBuffer(DictRolloutBuffer):
    """
    A roll-out buffer that does not shuffle the rows of a batch.

    One update takes the whole roll-out, so that the order does not matter to the gradient. In the order of the
    sub-environments, hence of the tasks, the rows reach the stacked columns without being sorted, and what the
    distillation evaluated on them serves the update too. The order is drawn all the same: numpy's generator moves as it
    does under A2C.
    """

    def _get_samples(  # type: ignore[override]
        self, batch_inds: np.ndarray, env: VecNormalize | None = None
    ) -> DictRolloutBufferSamples:
        return super()._get_samples(np.sort(batch_inds), env)
