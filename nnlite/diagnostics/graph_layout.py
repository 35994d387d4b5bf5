"""layout: place the nodes of a graph from left to right, with few crossings and no overlaps.

Nodes are placed in columns, each to the right of its predecessors. The label of an arc has a box of its own in the
column before the arc's end; where an arc crosses other columns it occupies a place there as nodes do. Nothing can
overlap: boxes of one column are separated, and between columns there are only arcs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from statistics import fmean

Point = tuple[float, float]
Size = tuple[float, float]


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
    order: float = 0.0
    x: float = 0.0
    y: float = 0.0
    span: tuple[float, float] = 0.0, 0.0  # left and right end of its column
    line: int = 0  # of the folded picture, and its upper end
    top: float = 0.0

    def neighbours(self, to_the_left: bool) -> list["_Box"]:
        return self.before if to_the_left else self.after


def layout(
    sizes: Sequence[Size], arcs: Sequence[Arc], gap: Size, first: Sequence[int] = (), most: float = math.inf
) -> Layout:
    """Place nodes of the given sizes and the arcs between them, which must form no cycle.

    The order within the columns is improved in passes from left to right and back, which sort each box to the mean
    position of its neighbours. Then the heights are chosen so that the arcs bend as little as possible.

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
    boxes = nodes + [box for route in routes for box in route[1:-1]]
    columns: list[list[_Box]] = [[] for _ in range(max((box.column for box in boxes), default=-1) + 1)]
    for box in boxes:
        columns[box.column].append(box)
    _put_in_order(columns)
    width = _set_x(columns, gap[0])
    height = _set_y(columns, gap[1])
    if width > 1.5 * most and len(lines := _lines(columns, most)) > 1:
        width, height = _fold(lines, gap)
    return Layout(
        [(box.x, box.y) for box in nodes],
        [_points(route, gap) for route in routes],
        [(route[-2].x, route[-2].y) for route in routes],
        (width, height),
    )


def _ranks(count: int, arcs: Sequence[Arc], first: Sequence[int]) -> list[int]:
    """The column of each node: after its predecessors; without any, right before its first successor."""
    ranks = [0] * count
    for arc in sorted(arcs, key=lambda arc: arc.start):
        ranks[arc.end] = max(ranks[arc.end], ranks[arc.start] + 1)
    ends = {arc.end for arc in arcs}
    for node in range(count):
        targets = [ranks[arc.end] for arc in arcs if arc.start == node]
        if node not in ends and node not in first and targets:
            ranks[node] = min(targets) - 1
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
    start, *between, end = route
    points = [(start.x + start.width / 2, start.y), (start.span[1], start.y)]
    for before, box in pairwise([start, *between]):
        points += [*_around(before, box, gap), (box.span[0], box.y), (box.span[1], box.y)]
    return [*points, *_around(between[-1], end, gap), (end.span[0], end.y), (end.x - end.width / 2, end.y)]


def _around(box: _Box, other: _Box, gap: Size) -> list[Point]:
    """The points of an arc from the end of one line to the beginning of the next one."""
    if box.line == other.line:
        return []
    right, left, between = box.span[1] + gap[0] / 2, other.span[0] - gap[0] / 2, other.top + gap[1]
    return [(right, box.y), (right, between), (left, between), (left, other.y)]


def _lines(columns: list[list[_Box]], most: float) -> list[list[list[_Box]]]:
    """The columns in lines no wider than ``most``; in one line where that is impossible."""
    ends = [n for n in range(1, len(columns)) if _may_end(columns[n - 1], columns[n])]
    lines, start = [], 0
    for end, following in pairwise([*ends, len(columns), len(columns)]):
        if columns[following - 1][0].span[1] - columns[start][0].span[0] > most or end == len(columns):
            lines.append(columns[start:end])
            start = end
    fit = all(line[-1][0].span[1] - line[0][0].span[0] <= most for line in lines)
    return lines if fit else [columns]


def _fold(lines: list[list[list[_Box]]], gap: Size) -> Size:
    """Place the lines below each other; returns the size."""
    top = 0.0
    for line, part in enumerate(lines):
        boxes = [box for column in part for box in column]
        low, high = (min(box.y - box.height / 2 for box in boxes), max(box.y + box.height / 2 for box in boxes))
        left = boxes[0].span[0] - gap[0] * (line > 0)
        for box in boxes:
            box.x, box.y, box.span = box.x - left, box.y + top - high, (box.span[0] - left, box.span[1] - left)
            box.line, box.top = line, top
        top -= high - low + 3 * gap[1]
    height = -top - 3 * gap[1]
    every = [box for part in lines for column in part for box in column]
    for box in every:
        box.y, box.top = box.y + height, box.top + height
    return max(box.span[1] for box in every) + gap[0], height


def _may_end(column: list[_Box], following: list[_Box]) -> bool:
    """Whether a line of a folded picture may end after the column: before nodes, to which one arc leads."""
    return sum(len(box.after) for box in column) == 1 and any(box.node for box in following)


# ---------------------------------------------------------------------------------------- the order in a column


def _put_in_order(columns: list[list[_Box]], starts: int = 8, rounds: int = 12) -> None:
    """Sort each column so that few arcs cross: the best result of several initial orders."""
    random = Random(0)  # the same picture each time
    best, order = math.inf, [list(column) for column in columns]
    for start in range(starts):
        for column in columns:
            if start:
                random.shuffle(column)
        _set_order(columns)
        for turn in range(rounds):
            _go_through(columns, to_the_left=turn % 2 == 0)
            found = _crossings(columns)
            if found < best:
                best, order = found, [list(column) for column in columns]
        if not best:
            break
    for column, boxes in zip(columns, order, strict=True):
        column[:] = boxes
    _set_order(columns)


def _go_through(columns: list[list[_Box]], to_the_left: bool) -> None:
    """Sort each column by the mean position of each box's neighbours on one side."""

    def wanted(box: _Box) -> float:
        return fmean([neighbour.order for neighbour in box.neighbours(to_the_left)] or [box.order])

    for column in columns if to_the_left else reversed(columns):
        column.sort(key=wanted)
        _set_order([column])


def _set_order(columns: list[list[_Box]]) -> None:
    for column in columns:
        for place, box in enumerate(column):
            box.order = float(place)


def _crossings(columns: list[list[_Box]]) -> int:
    return sum(
        a.order > b.order
        for column in columns
        for place, above in enumerate(column)
        for below in column[place + 1 :]
        for a in above.after
        for b in below.after
    )


# --------------------------------------------------------------------------------------------------- coordinates


def _set_x(columns: list[list[_Box]], gap: float) -> float:
    """Place each column to the right of the one before; returns the total width."""
    right = 0.0
    for number, column in enumerate(columns):
        width = max((box.width for box in column), default=0.0)
        left = right + gap * (number > 0)
        for box in column:
            box.x = left + (box.width if box.node else width) / 2  # nodes aligned left: arcs meet only at their ends
            box.span = left, left + width
        right = left + width
    return right


def _set_y(columns: list[list[_Box]], gap: float) -> float:
    """Choose heights at which arcs are straight and nodes centred on their arcs; returns the total height.

    A linear programme: minimize the sum of the differences t, where ``t >= y_a - y_b`` and ``t >= y_b - y_a``.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    boxes = [box for column in columns for box in column]
    place = {id(box): number for number, box in enumerate(boxes)}
    apart = [(one, other) for column in columns for one, other in pairwise(column)]
    terms = [term for box in boxes for term in _height_terms(box)]
    entries: list[tuple[int, int, float]] = []  # (row, column, value) of A in A (y, t) <= limits
    limits = []
    for row, (one, other) in enumerate(apart):
        entries += [(row, place[id(one)], -1.0), (row, place[id(other)], 1.0)]
        limits.append(-((one.height + other.height) / 2 + gap))
    for number, (_, box, others) in enumerate(terms):
        for sign in 1.0, -1.0:
            row = len(limits)
            entries += [(row, place[id(box)], sign), (row, len(boxes) + number, -1.0)]
            entries += [(row, place[id(other)], -sign / len(others)) for other in others]
            limits.append(0.0)
    if limits:
        rows, across, values = zip(*entries, strict=True)
        A = coo_array((values, (rows, across)), (len(limits), len(boxes) + len(terms)))
        found = linprog([0.0] * len(boxes) + [weight for weight, _, _ in terms], A_ub=A.tocsr(), b_ub=limits)
        for box, y in zip(boxes, found.x[: len(boxes)].tolist(), strict=True):
            box.y = y
    low = min((box.y - box.height / 2 for box in boxes), default=0.0)
    for box in boxes:
        box.y -= low
    return max((box.y + box.height / 2 for box in boxes), default=0.0)


def _height_terms(box: _Box) -> Iterator[tuple[float, _Box, list[_Box]]]:
    """(weight, box, others): the weight of the difference between the box's height and the mean of the others."""
    if box.node:
        for others in box.before, box.after:
            if others:
                yield 3.0, box, others
            yield from ((0.5, box, [other]) for other in others if len(others) > 1)
    else:
        yield from ((8.0, box, [other]) for other in box.after if not other.node)
