"""layout: place the nodes of a graph from left to right, with few crossings and no overlaps.

Nodes are placed in columns, each to the right of its predecessors. The label of an arc has a box of its own in the
column before the arc's end; where an arc crosses other columns it occupies a place there as nodes do. Nothing can
overlap: boxes of one column are separated, and between columns there are only arcs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from random import Random
from statistics import fmean

Point = tuple[float, float]
Size = tuple[float, float]
STARTS = 8  # of the search for few crossings
PASSES = 12  # through the columns, from left to right and back
STRAIGHT = 1e8  # how much more an arc over several columns counts than a node


@dataclass(frozen=True)
class Arc:
    """An edge from one node to another, by their numbers, and the size of its label.

    >>> Arc(0, 1, (40.0, 20.0)).start
    0
    """

    start: int
    end: int
    label: Size


@dataclass(frozen=True)
class Layout:
    """The positions of nodes, arcs and labels.

    Attributes:
        nodes: the centre of each node.
        routes: the points of each arc: horizontally out of the start's column, through each column at one height, and
            horizontally to its end.
        labels: the centre of each arc's label.
        size: width and height of the layout, whose lower left corner is (0, 0).

    >>> layout([(10.0, 10.0), (10.0, 10.0)], [Arc(0, 1, (30.0, 20.0))], gap=(5.0, 5.0)).nodes
    [(5.0, 10.0), (55.0, 10.0)]
    """

    nodes: list[Point]
    routes: list[list[Point]]
    labels: list[Point]
    size: Size


@dataclass
class _Box:
    """A box in a column: a node, a label, or the place of an arc that crosses the column."""

    column: int
    width: float
    height: float
    node: bool
    before: list["_Box"] = field(default_factory=list)
    after: list["_Box"] = field(default_factory=list)
    follows: str = ""  # of an arc: the end, "start" or "end", that has fewer arcs
    order: int = 0
    x: float = 0.0
    y: float = 0.0
    span: tuple[float, float] = 0.0, 0.0  # left and right end of its column
    top: float = 0.0  # of its line in a folded picture


Columns = list[list[_Box]]


def layout(
    sizes: Sequence[Size], arcs: Sequence[Arc], gap: Size, first: Sequence[int] = (), most: float = math.inf
) -> Layout:
    """Place nodes of the given sizes and the arcs between them, which must form no cycle.

    The order within the columns is improved in passes from left to right and back, which sort each box to the mean
    position of its neighbours. Then further passes move each box to the mean height of its neighbours.

    Args:
        sizes: width and height of each node.
        arcs: the edges, each from a node to a later one.
        gap: the distance between columns, and between boxes of one column.
        first: nodes of the first column; other nodes without predecessors are placed as far to the right as possible.
        most: a much wider layout is folded into lines of that width, between columns that a single arc connects.

    Source: Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system structures, 1981.

    >>> layout([(10.0, 10.0)] * 3, [Arc(0, 2, (30.0, 20.0)), Arc(1, 2, (30.0, 20.0))], gap=(5.0, 5.0)).nodes
    [(5.0, 35.0), (5.0, 10.0), (55.0, 22.5)]
    """
    ranks = _ranks(len(sizes), arcs, first)
    nodes = [_Box(2 * rank, *size, node=True) for rank, size in zip(ranks, sizes, strict=True)]
    routes = [_route(nodes[arc.start], nodes[arc.end], arc.label) for arc in arcs]
    for start, *between, end in routes:
        out, into = len(start.after), len(end.before)
        for box in between:
            box.follows = "start" if out < into or out == 1 else "end" if into < out else ""
    columns = _in_order(nodes)
    _set_x(columns, gap[0])
    _set_y(columns, gap[1])
    lines = _lines(columns, most) if _right(columns) > 1.5 * most else [columns]
    _fold(lines, gap)
    boxes = [box for column in columns for box in column]
    return Layout(
        [(box.x, box.y) for box in nodes],
        [_points(route, gap) for route in routes],
        [(route[-2].x, route[-2].y) for route in routes],
        (_right(columns) + gap[0] * (len(lines) > 1), max((box.top for box in boxes), default=0.0)),
    )


def _ranks(count: int, arcs: Sequence[Arc], first: Sequence[int]) -> list[int]:
    """The column of each node: after its predecessors; without any, right before its first successor."""
    ranks = [0] * count
    for arc in sorted(arcs, key=lambda arc: arc.start):
        ranks[arc.end] = max(ranks[arc.end], ranks[arc.start] + 1)
    for node in set(range(count)) - {arc.end for arc in arcs} - set(first):
        ranks[node] = min((ranks[arc.end] for arc in arcs if arc.start == node), default=1) - 1
    return ranks


def _route(start: _Box, end: _Box, label: Size) -> list[_Box]:
    """The boxes of an arc, one for each column, including those of its two nodes."""
    between = [_Box(column, 0.0, 6.0, node=False) for column in range(start.column + 1, end.column)]
    between[-1].width, between[-1].height = label
    route = [start, *between, end]
    for one, next_one in pairwise(route):
        one.after.append(next_one)
        next_one.before.append(one)
    return route


def _points(route: list[_Box], gap: Size) -> list[Point]:
    start, *_, end = route
    points = [(start.x + start.width / 2, start.y)]
    for box, other in pairwise(route):
        points.append((box.span[1], box.y))
        if box.top != other.top:  # around, to the beginning of the next line
            right, left, between = box.span[1] + gap[0] / 2, other.span[0] - gap[0] / 2, other.top + gap[1]
            points += [(right, box.y), (right, between), (left, between), (left, other.y)]
        points.append((other.span[0], other.y))
    return [*points, (end.x - end.width / 2, end.y)]


def _right(columns: Columns) -> float:
    return max((box.span[1] for column in columns for box in column), default=0.0)


# ---------------------------------------------------------------------------------------- the order in a column


def _in_order(nodes: list[_Box]) -> Columns:
    """The boxes in columns, sorted so that few arcs cross: the best of several depth-first orders."""
    random = Random(0)  # the same picture each time
    best, least = list[list[_Box]](), math.inf
    for start in range(STARTS):
        columns = _depth_first(nodes, random if start else None)
        for turn in range(PASSES):
            found = _crossings(columns)
            if found < least:
                best, least = columns, found
            if not least:
                return best
            columns = _sorted(columns, to_the_left=turn % 2 == 0)
    return best


def _depth_first(nodes: list[_Box], random: Random | None) -> Columns:
    """Each column in the order in which a walk from the outputs finds its boxes; in a tree no arcs cross then."""
    columns: Columns = [[] for _ in range(max((box.column for box in nodes), default=-1) + 1)]
    waiting, seen = [box for box in reversed(nodes) if not box.after], set[int]()
    while waiting:
        box = waiting.pop()
        if id(box) not in seen:
            seen.add(id(box))
            columns[box.column].append(box)
            waiting += random.sample(box.before, len(box.before)) if random else reversed(box.before)
    return columns


def _sorted(columns: Columns, to_the_left: bool) -> Columns:
    """Each column sorted by the mean position of each box's neighbours on one side."""

    def wanted(box: _Box) -> float:
        neighbours = box.before if to_the_left else box.after
        return fmean(other.order for other in neighbours) if neighbours else box.order

    columns = [list(column) for column in columns]
    for column in columns if to_the_left else reversed(columns):
        column.sort(key=wanted)
        for number, box in enumerate(column):
            box.order = number
    return columns


def _crossings(columns: Columns) -> int:
    """How many pairs of arcs cross; also numbers the boxes of each column."""
    for column in columns:
        for number, box in enumerate(column):
            box.order = number
    return sum(
        a.order > b.order
        for column in columns
        for one, other in combinations(column, 2)
        for a in one.after
        for b in other.after
    )


# --------------------------------------------------------------------------------------------------- coordinates


def _set_x(columns: Columns, gap: float) -> None:
    """Place each column to the right of the one before."""
    left = 0.0
    for column in columns:
        width = max(box.width for box in column)
        for box in column:
            box.x = left + (box.width if box.node else width) / 2  # nodes aligned left: arcs meet only at their ends
            box.span = left, left + width
        left += width + gap


def _set_y(columns: Columns, gap: float) -> None:
    """Move each box to the mean height of its neighbours on one side, then on the other, and so on.

    In the last two turns an arc moves once, to the one of its ends that has fewer arcs.
    """
    for turn in range(PASSES + 1):
        right = turn % 2 == 0
        for column in columns if right else reversed(columns):
            moves = [turn < PASSES - 1 or box.node or box.follows == ("start" if right else "end") for box in column]
            sides = [box.before if right else box.after for box in column]
            _stack(column, [side if move else [] for side, move in zip(sides, moves, strict=True)], gap)


def _stack(column: list[_Box], neighbours: list[list[_Box]], gap: float) -> None:
    """Place the boxes of a column as near to the mean height of their neighbours as their order and sizes permit.

    Boxes that would overlap form a group, which stands at the mean of what its boxes want: the pool of adjacent
    violators of Ayer, Brunk, Ewing, Reid and Silverman, 1955, which minimizes the sum of the squares.
    """
    down, before = 0.0, None
    groups: list[tuple[float, float, list[tuple[_Box, float]]]] = []  # (weight, sum, boxes and how far down they are)
    for box, others in zip(column, neighbours, strict=True):
        down += (before.height + box.height) / 2 + gap if before else 0.0
        weight = 1.0 if box.node or all(other.node for other in box.before + box.after) else STRAIGHT
        wanted = fmean(other.y for other in others) if others else box.y
        group = weight, weight * (wanted + down), [(box, down)]
        while groups and groups[-1][1] / groups[-1][0] < group[1] / group[0]:
            above = groups.pop()
            group = above[0] + group[0], above[1] + group[1], above[2] + group[2]
        groups.append(group)
        before = box
    for weight, total, boxes in groups:
        for box, depth in boxes:
            box.y = total / weight - depth


def _lines(columns: Columns, most: float) -> list[Columns]:
    """The columns in lines no wider than ``most``, each of which ends before nodes to which a single arc leads."""

    def width(line: Columns) -> float:
        return line[-1][0].span[1] - line[0][0].span[0]

    parts: list[Columns] = []
    for column in columns:
        if parts and (sum(len(box.after) for box in parts[-1][-1]) != 1 or not any(box.node for box in column)):
            parts[-1].append(column)
        else:
            parts.append([column])
    lines: list[Columns] = []
    for part in parts:
        if lines and width(lines[-1] + part) <= most:
            lines[-1] += part
        else:
            lines.append(list(part))
    return lines if all(width(line) <= most for line in lines) else [columns]


def _fold(lines: list[Columns], gap: Size) -> None:
    """Place the lines below each other."""
    base = 0.0
    for number, line in reversed(list(enumerate(lines))):
        boxes = [box for column in line for box in column]
        low = min((box.y - box.height / 2 for box in boxes), default=0.0)
        top = base + max((box.y + box.height / 2 for box in boxes), default=0.0) - low
        left = boxes[0].span[0] - gap[0] * (number > 0) if boxes else 0.0
        for box in boxes:
            box.x, box.y, box.span = box.x - left, box.y - low + base, (box.span[0] - left, box.span[1] - left)
            box.top = top
        base = top + 3 * gap[1]
