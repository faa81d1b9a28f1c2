"""An environment of a user who imports MiniWorld and nothing of this package; its walls differ by seed."""

from typing import Any

import miniworld.miniworld as plain


class Room(plain.MiniWorldEnv):
    def __init__(self) -> None:
        super().__init__(window_width=80, window_height=60)

    def _gen_world(self) -> None:
        width, depth = self.np_random.uniform(3.0, 12.0, 2)
        self.add_rect_room(min_x=0.0, max_x=width, min_z=0.0, max_z=depth)
        self.place_agent()


def make_room() -> Any:
    return Room()
