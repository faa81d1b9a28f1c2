from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import PLAIN, WORLDS, fresh, output


@pytest.fixture(scope="session")
def lone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Frames of each world, alone in a process with MiniWorld and nothing of this package."""
    folder: Path = tmp_path_factory.mktemp("frames")
    for world in WORLDS:
        output(fresh(PLAIN, world, folder / world, PYGLET_HEADLESS="true"))
    frames = {world: np.load(folder / f"{world}.npy") for world in WORLDS}
    assert all(len(np.unique(own, axis=0)) > 10 for own in frames.values())
    return frames
