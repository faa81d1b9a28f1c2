"""Film and sheet of a trained agent."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from PIL import Image

from experiments.mazes.film import SIZE, draw_sheet, play, write_film
from sb3_distral import RecurrentDistralA2C, tasks
from sb3_distral.tasks.miniworld.world import PICTURE


def test_film_and_sheet_of_an_agent(tmp_path: Path) -> None:
    env = tasks.make("mazes", n_tasks=2, seed=0)
    model = RecurrentDistralA2C(env, seed=0, policy_kwargs={"lstm_hidden_size": 8})
    env.close()
    moments = play(model, "sb3_distral/Mazes-1-v0", 1, 5)
    assert len(moments) == 5
    for name in ("eyes", "above"):
        pictures = np.stack([getattr(moment, name) for moment in moments])
        assert pictures.shape == (5, PICTURE, PICTURE, 3)
        assert len(np.unique(pictures, axis=0)) > 1, name
    assert not np.array_equal(moments[0].eyes, moments[0].above)

    write_film(moments, tmp_path / "agent.gif")
    with Image.open(tmp_path / "agent.gif") as film:
        assert (film.size, film.n_frames) == ((2 * SIZE, SIZE), 5)  # type: ignore[attr-defined]
    sheet = draw_sheet(moments, 3)
    titles = [axis.get_title().splitlines()[0] for axis in sheet.axes if axis.get_title()]
    assert titles == ["step 0", "step 2", "step 4"]


def test_an_episode_that_ends_ends_the_film() -> None:
    env = tasks.make("mazes", n_tasks=1, seed=0)
    model = RecurrentDistralA2C(env, seed=0, policy_kwargs={"lstm_hidden_size": 8})
    env.close()
    assert len(play(model, "sb3_distral/Mazes-0-v0", 0, 301)) == 300
