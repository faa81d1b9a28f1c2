"""Randomised depth-first search: how all mazes are carved."""

from collections.abc import Callable, Mapping, Sequence


def join_rooms(
    neighbours: Mapping[int, Sequence[int]], first: int, choose: Callable[[int], int]
) -> list[tuple[int, int]]:
    """
    Join all rooms by a randomised depth-first search.

    :param neighbours: rooms beside each room
    :param first: room to begin with
    :param choose: draws an index less than the number given
    :return: pairs of rooms to join, one less than rooms: every room can be reached from every other in one way
    """
    path, unvisited, joined = [first], set(neighbours) - {first}, []
    while path:
        targets = [room for room in neighbours[path[-1]] if room in unvisited]
        if not targets:
            path.pop()
            continue
        target = targets[choose(len(targets))]
        unvisited.remove(target)
        joined.append((path[-1], target))
        path.append(target)
    return joined
