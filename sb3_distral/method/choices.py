"""The choices that discrete actions are made of, and which of them a task has."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from sb3_distral.errors import UsageError


class TaskMask(NamedTuple):
    """
    What one task has of the choices of all tasks.

    :param own: Whether each is a choice of the task, shape (n_choices,)
    :param valid: Whether it is ever valid there, likewise
    """

    own: list[bool]
    valid: list[bool]

    def spread(self, given: np.ndarray) -> np.ndarray:
        """
        Read a mask that may be of the task's own choices alone.

        :param given: The mask, an entry for each choice of all tasks or for each of the task's own
        :return: Whether each choice is valid, ``bool``, shape (n_choices,)
        :raises UsageError: If it has another number of entries
        """
        own = np.array(self.own)
        if len(given) not in (len(own), own.sum()):
            raise UsageError(
                f"A mask of {len(given)} entries was given; expected {len(own)}, one for each choice that any task has"
                + ("." if own.all() else f", or {own.sum()}, one for each that this task has.")
                + " Where the task is not known, fill the mask of a task of fewer actions up with zeros."
            )
        mask = np.zeros(len(own), dtype=bool)
        mask[... if len(given) == len(own) else own] = given
        return mask


def unmasked(space: spaces.Space[Any]) -> TaskMask:
    """
    Mask nothing.

    :param space: Actions of all tasks
    :return: The mask of a task that has them all
    """
    every = [True] * int(n_choices_of(space).sum())
    return TaskMask(every, every)


def narrow(masks: Sequence[TaskMask], given: Sequence[Any], space: spaces.Space[Any]) -> np.ndarray:
    """
    Narrow the masks of rows by others.

    :param masks: Mask of the task of each row
    :param given: The others, each one mask for all rows or one for each row, see :meth:`TaskMask.spread`
    :param space: Actions of all tasks
    :return: Whether each choice is valid, ``bool``, shape (n_rows, n_choices)
    :raises UsageError: If one of the others does not fit, or nothing is left to be done
    """
    narrowed = np.array([mask.valid for mask in masks])
    for other in given:
        rows = np.atleast_2d(np.asarray(other, dtype=bool))
        if len(rows) not in (1, len(masks)):
            raise UsageError(f"Masks of {len(rows)} rows were given for {len(masks)} observations. Give one for each.")
        others = [mask.spread(rows[row % len(rows)]) for row, mask in enumerate(masks)]
        narrowed &= np.array(others)
    if not leaves_action(narrowed, space).all():
        raise UsageError(
            f"The masks {given!r} leave no action of {space} that is valid in the task. Leave at least one."
        )
    return narrowed


def leaves_action(masks: np.ndarray, space: spaces.Space[Any]) -> np.ndarray:
    """
    Tell under which masks something can be done.

    :param masks: Shape (n_rows, n_choices)
    :param space: Actions of all tasks
    :return: Whether every component of an action has a valid choice, shape (n_rows,)
    """
    # Of each component of an action, where its choices begin.
    starts = np.concatenate([[0], np.cumsum(n_choices_of(space))[:-1]])
    return np.asarray(np.logical_or.reduceat(masks, starts, axis=1).all(axis=1))


def n_choices_of(space: spaces.Space[Any]) -> np.ndarray:
    """
    Count the choices of each component of an action.

    :param space: ``Discrete`` or ``MultiDiscrete``
    :return: Their numbers, shape (n_components,)
    :raises UsageError: If it is another space
    """
    if isinstance(space, spaces.Discrete):
        return np.array([space.n])
    if isinstance(space, spaces.MultiDiscrete):
        return space.nvec.ravel()
    raise UsageError(f"Masks were given for the actions {space}; they are for Discrete and MultiDiscrete actions.")


def own_choices(space: spaces.Space[Any], joined: spaces.Space[Any]) -> np.ndarray:
    """
    Tell which choices a task has.

    :param space: Actions of the task
    :param joined: Actions of all tasks
    :return: Which of all are its own, ``bool``, shape (n_choices,)
    """
    sizes = zip(n_choices_of(space), n_choices_of(joined), strict=True)
    return np.concatenate([np.arange(of_all) < of_task for of_task, of_all in sizes])
