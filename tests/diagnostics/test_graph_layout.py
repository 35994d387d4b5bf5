"""Where the nodes of a drawn graph stand."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from nnlite.diagnostics.graph_layout import Arc, layout

GAP = 20.0, 10.0


def random_graph(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 15))
    sizes = [tuple(rng.uniform(10, 80, 2).tolist()) for _ in range(count)]
    arcs = []
    for end in range(1, count):
        starts = rng.choice(end, size=min(end, int(rng.integers(1, 4)))).tolist()
        arcs += [Arc(start, end, tuple(rng.uniform(10, 60, 2).tolist())) for start in starts]
    return sizes, arcs


def box(centre, size):
    (x, y), (width, height) = centre, size
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_overlaps(seed):
    sizes, arcs = random_graph(seed)
    placed = layout(sizes, arcs, GAP)
    nodes = [box(centre, size) for centre, size in zip(placed.nodes, sizes, strict=True)]
    labels = [box(centre, arc.label) for centre, arc in zip(placed.labels, arcs, strict=True)]
    for one, other in combinations(nodes + labels, 2):
        assert not overlap(one, other)
    width, height = placed.size
    for left, low, right, high in nodes + labels:
        assert left >= -1e-6
        assert low >= -1e-6
        assert right <= width + 1e-6
        assert high <= height + 1e-6


@pytest.mark.parametrize("seed", range(40))
def test_arcs_run_to_the_right_through_their_labels_and_through_nothing_else(seed):
    sizes, arcs = random_graph(seed)
    placed = layout(sizes, arcs, GAP)
    boxes = [box(centre, size) for centre, size in zip(placed.nodes, sizes, strict=True)]
    labels = [box(centre, arc.label) for centre, arc in zip(placed.labels, arcs, strict=True)]
    for number, (arc, route) in enumerate(zip(arcs, placed.routes, strict=True)):
        assert route[0] == (boxes[arc.start][2], placed.nodes[arc.start][1])
        assert route[-1] == (boxes[arc.end][0], placed.nodes[arc.end][1])
        assert placed.labels[number][1] in [y for _, y in route]
        others = [each for n, each in enumerate(boxes) if n not in (arc.start, arc.end)]
        others += [each for n, each in enumerate(labels) if n != number]
        for (x, y), (x_end, y_end) in pairwise(route):
            assert x <= x_end + 1e-9
            piece = x + 1e-6, min(y, y_end) - 1e-6, x_end - 1e-6, max(y, y_end) + 1e-6
            assert not any(overlap(piece, other) for other in others)


def test_a_chain_is_straight():
    sizes = [(20.0, 20.0), (40.0, 60.0), (20.0, 30.0)]
    placed = layout(sizes, [Arc(0, 1, (30.0, 20.0)), Arc(1, 2, (30.0, 20.0))], GAP)
    assert [y for _, y in placed.nodes] == pytest.approx([30.0] * 3)
    assert [x for x, _ in placed.nodes] == pytest.approx([10.0, 110.0, 210.0])
    assert placed.size == pytest.approx((220.0, 60.0))


def test_a_node_stands_in_the_middle_of_what_leads_to_it():
    arcs = [Arc(start, 2, (30.0, 20.0)) for start in (0, 1)]
    placed = layout([(20.0, 20.0)] * 3, arcs, GAP)
    assert placed.nodes[2][1] == pytest.approx((placed.labels[0][1] + placed.labels[1][1]) / 2)


def test_an_arc_over_several_columns_is_straight_in_between():
    arcs = [Arc(0, 1, (30.0, 20.0)), Arc(1, 2, (30.0, 20.0)), Arc(2, 3, (30.0, 20.0)), Arc(0, 3, (30.0, 20.0))]
    route = layout([(20.0, 20.0)] * 4, arcs, GAP).routes[3]
    heights = {round(y, 6) for _, y in route[2:-2]}
    assert len(heights) == 1


def crossings(placed, arcs):
    """How many pairs of arcs stand in one order at one end and in the other at the other."""
    found = 0
    for one, other in combinations(arcs, 2):
        if any(placed.nodes[a][0] != placed.nodes[b][0] for a, b in ((one.start, other.start), (one.end, other.end))):
            continue  # between other columns
        before = placed.nodes[one.start][1] - placed.nodes[other.start][1]
        after = placed.nodes[one.end][1] - placed.nodes[other.end][1]
        found += before * after < 0
    return found


def test_what_can_be_drawn_without_crossings_is():
    # three inputs that lead to three nodes in the opposite order, and a tree whose leaves are given crosswise
    arcs = [Arc(0, 5, (30.0, 20.0)), Arc(1, 4, (30.0, 20.0)), Arc(2, 3, (30.0, 20.0))]
    assert crossings(layout([(20.0, 20.0)] * 6, arcs, GAP), arcs) == 0
    arcs = [Arc(0, 4, (9.0, 9.0)), Arc(2, 4, (9.0, 9.0)), Arc(1, 5, (9.0, 9.0)), Arc(3, 5, (9.0, 9.0)),
            Arc(4, 6, (9.0, 9.0)), Arc(5, 6, (9.0, 9.0))]  # fmt: skip
    assert crossings(layout([(20.0, 20.0)] * 7, arcs, GAP), arcs) == 0


def test_a_tree_whose_leaves_are_given_in_any_order_has_no_crossings():
    leaves = np.random.default_rng(0).permutation(16).tolist()  # which pair of leaves is whose
    arcs = [Arc(leaf, 16 + place // 2, (9.0, 9.0)) for place, leaf in enumerate(leaves)]
    arcs += [Arc(16 + n, 24 + n // 2, (9.0, 9.0)) for n in range(8)] + [Arc(24 + n, 28, (9.0, 9.0)) for n in range(4)]
    assert crossings(layout([(20.0, 20.0)] * 29, arcs, GAP), arcs) == 0


def test_what_nothing_leads_to_stands_near_its_use_unless_it_is_to_stand_first():
    arcs = [Arc(0, 1, (9.0, 9.0)), Arc(1, 3, (9.0, 9.0)), Arc(2, 3, (9.0, 9.0))]
    sizes = [(20.0, 20.0)] * 4
    near = layout(sizes, arcs, GAP)
    assert near.nodes[2][0] == near.nodes[1][0]
    first = layout(sizes, arcs, GAP, first=[2])
    assert first.nodes[2][0] == first.nodes[0][0]


def test_a_node_alone():
    assert layout([(20.0, 10.0)], [], GAP).nodes == [(10.0, 5.0)]


def test_two_arcs_between_the_same_nodes_stand_apart():
    placed = layout([(20.0, 20.0)] * 2, [Arc(0, 1, (30.0, 20.0)), Arc(0, 1, (30.0, 20.0))], GAP)
    assert abs(placed.labels[0][1] - placed.labels[1][1]) == pytest.approx(30.0)


def test_it_is_the_same_each_time():
    sizes, arcs = random_graph(3)
    assert layout(sizes, arcs, GAP) == layout(sizes, arcs, GAP)


def chain_with_a_fork(count):
    """A chain of nodes, with a second arc around the third one."""
    arcs = [Arc(n, n + 1, (30.0, 20.0)) for n in range(count - 1)]
    return [(20.0, 20.0)] * count, [*arcs, Arc(1, 3, (30.0, 20.0))]


def test_a_long_chain_is_folded_into_lines_where_a_single_arc_leads_on():
    sizes, arcs = chain_with_a_fork(12)
    placed = layout(sizes, arcs, GAP, most=500.0)
    assert layout(sizes, arcs, GAP).size[0] > 750
    assert placed.size[0] <= 500 + 2 * GAP[0]
    begin = [n for n, ((x, _), (x_next, _)) in enumerate(pairwise(placed.nodes), start=1) if x_next < x]
    assert len(begin) == 2  # of three lines, the first of which has the fork
    assert begin[0] > 3
    boxes = [box(centre, size) for centre, size in zip(placed.nodes, sizes, strict=True)]
    labels = [box(centre, arc.label) for centre, arc in zip(placed.labels, arcs, strict=True)]
    for one, other in combinations(boxes + labels, 2):
        assert not overlap(one, other)
    for left, low, right, high in boxes + labels:
        assert left >= -1e-6
        assert low >= -1e-6
        assert right <= placed.size[0]
        assert high <= placed.size[1] + 1e-6
    for number, (arc, route) in enumerate(zip(arcs, placed.routes, strict=True)):
        assert route[0] == (boxes[arc.start][2], placed.nodes[arc.start][1])
        assert route[-1] == (boxes[arc.end][0], placed.nodes[arc.end][1])
        others = [each for n, each in enumerate(boxes) if n not in (arc.start, arc.end)]
        others += [each for n, each in enumerate(labels) if n != number]
        for (x, y), (x_end, y_end) in pairwise(route):
            piece = min(x, x_end) + 1e-6, min(y, y_end) - 1e-6, max(x, x_end) - 1e-6, max(y, y_end) + 1e-6
            assert not any(overlap(piece, other) for other in others)


def test_what_is_not_long_or_cannot_be_divided_stays_in_one_line():
    sizes, arcs = chain_with_a_fork(12)
    assert layout(sizes, arcs, GAP, most=700.0) == layout(sizes, arcs, GAP)
    arcs = [*arcs, Arc(0, 11, (30.0, 20.0))]
    assert layout(sizes, arcs, GAP, most=300.0) == layout(sizes, arcs, GAP)
