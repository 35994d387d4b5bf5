"""scenes: pictures as SVG, in which each part that the page shows, hides or marks has a ``data-id``."""

import html
from collections.abc import Iterator, Sequence
from itertools import pairwise

from nnlite.diagnostics.draw import FONT, arranged, body, font_size
from nnlite.diagnostics.graph_layout import Layout, Point, Size
from nnlite.diagnostics.picture import DrawnEdge, DrawnNode, Picture

MARGIN = 14.0
PAGE = 600.0  # the width of the lines into which a long chain is folded; it leaves room for the panel beside it
CHARACTER = 0.62  # the width of a character of the usual monospaced fonts, in units of their size


def scenes(pictures: Sequence[Picture]) -> list[str]:
    """The pictures, which differ in their texts alone, as SVG on one layout that has room for the longest of each.

    The ``data-id`` are a letter and the number of an edge, ``e`` for itself, ``v`` for its value, ``g`` for its
    gradient; or of a node, ``n`` for itself, ``p`` for the gradients of its parameters, ``s`` for the sum of its own.

    >>> import nnlite as nn
    >>> from nnlite.diagnostics.picture import picture
    >>> (scene,) = scenes([picture(nn.Tanh(), 0.0)])
    >>> '<text data-id="v0"' in scene, '<g data-id="n1" class="node layer"' in scene
    (True, True)
    """
    widest = _widest(pictures)
    placed = arranged(widest, measured, PAGE)
    return [_svg(shown, widest, placed) for shown in pictures]


def measured(text: str, size: float) -> Size:
    """The width and height of a text in a monospaced font.

    >>> measured("", 10.0), measured("abcd", 10.0)
    ((0.0, 0.0), (24.8, 13.0))
    """
    lines = text.split("\n") if text else []
    return max((len(line) for line in lines), default=0) * CHARACTER * size, 1.3 * size * len(lines)


def _widest(pictures: Sequence[Picture]) -> Picture:
    """A picture with the longest of each text."""

    def longest(*texts: str) -> str:
        return max(texts, key=lambda text: measured(text, 1.0))

    nodes = []
    for each in zip(*(shown.nodes for shown in pictures), strict=True):
        lines = tuple(
            (longest(*(text for text, _ in line)), line[0][1]) for line in zip(*(n.lines for n in each), strict=True)
        )
        nodes.append(DrawnNode(each[0].kind, lines, longest(*(node.below for node in each)), each[0].path))
    edges = []
    for edge in zip(*(shown.edges for shown in pictures), strict=True):
        value, gradient = longest(*(e.value for e in edge)), longest(*(_marked(e.gradient) for e in edge))
        edges.append(DrawnEdge(edge[0].start, edge[0].end, value, gradient))
    return Picture(tuple(nodes), tuple(edges))


def _marked(gradient: str) -> str:
    """A gradient behind its sign, so that it is told from a value not by its colour alone."""
    return f"∇ {gradient}" if gradient else ""


def _svg(shown: Picture, widest: Picture, placed: Layout) -> str:
    width, height = (length + 2 * MARGIN for length in placed.size)
    shapes = [body(node, measured) for node in widest.nodes]

    def point(x: float, y: float) -> Point:  # the layout's y axis points up
        return x + MARGIN, height - MARGIN - y

    size = f"min-width:{0.95 * width:.0f}px;max-width:{1.6 * width:.0f}px"  # a wider one is scrolled
    parts = [f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="{size}" role="img"><title>the graph</title>']
    for number, (edge, route, label) in enumerate(zip(shown.edges, placed.routes, placed.labels, strict=True)):
        (start, low), (end, high) = placed.nodes[edge.start], placed.nodes[edge.end]
        out, into = (shapes[n][0] / 2 for n in (edge.start, edge.end))
        points = [point(*each) for each in [(start + out, low), *route[1:-1], (end - into, high)]]
        x, y = point(*label)
        parts.append(f'<g data-id="e{number}" class="edge"><path d="{_curve(points)}"/>{_head(points)}</g>')
        parts.append(_text(f"v{number}", "value", x, y - 5, edge.value, FONT - 1, upward=True))
        parts.append(_text(f"g{number}", "gradient", x, y + 12, _marked(edge.gradient), FONT - 1))
    for number, (node, centre, shape) in enumerate(zip(shown.nodes, placed.nodes, shapes, strict=True)):
        parts += _node(number, node, point(*centre), shape)
    return "\n".join([*(part for part in parts if part), "</svg>"])


def _curve(points: list[Point]) -> str:
    (x, y), *_ = points
    bends = [f"M{x:.1f} {y:.1f}"]
    for (x, y), (x_next, y_next) in pairwise(points):
        middle = (x + x_next) / 2
        bends.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {y_next:.1f} {x_next:.1f} {y_next:.1f}")
    return " ".join(bends)


def _head(points: list[Point]) -> str:
    """The arrow of forward at the end, and that of backward at the start; the page shows one of them."""
    (x, y), (back_x, back_y) = points[-1], points[0]
    ahead = f"{x:.1f},{y:.1f} {x - 7:.1f},{y - 3.5:.1f} {x - 7:.1f},{y + 3.5:.1f}"
    back = f"{back_x:.1f},{back_y:.1f} {back_x + 7:.1f},{back_y - 3.5:.1f} {back_x + 7:.1f},{back_y + 3.5:.1f}"
    return f'<polygon class="ahead" points="{ahead}"/><polygon class="back" points="{back}"/>'


def _node(number: int, node: DrawnNode, centre: Point, shape: Size) -> Iterator[str]:
    (x, y), (width, height) = centre, shape
    yield f'<g data-id="n{number}" class="node {node.kind}">'
    if node.kind == "gate":
        yield f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}"/>'
    else:
        left, top = x - width / 2, y - height / 2
        yield f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"/>'
    heights = [measured(text, font_size(kind))[1] for text, kind in node.lines]
    top = y - (sum(heights) + 3 * (len(heights) - 1)) / 2
    gradients = 0
    for (text, kind), tall in zip(node.lines, heights, strict=True):
        name = f"p{number}_{gradients}" if kind == "gradient" else ""
        gradients += kind == "gradient"
        yield _text(name, kind, x, top + font_size(kind), text, font_size(kind))
        top += tall + 3
    yield "</g>"
    yield _text(f"s{number}", "gradient", x, y + height / 2 + 13, _marked(node.below), FONT - 1)


def _text(name: str, kind: str, x: float, y: float, text: str, size: float, *, upward: bool = False) -> str:
    """A text of one or more lines around x; its first line at y, or its last one."""
    if not text:
        return ""
    lines = text.split("\n")
    y -= 1.3 * size * (len(lines) - 1) * upward
    rows = "".join(
        f'<tspan x="{x:.1f}" y="{y + 1.3 * size * row:.1f}">{html.escape(line)}</tspan>'
        for row, line in enumerate(lines)
    )
    identity = f'data-id="{name}" ' if name else ""
    return f'<text {identity}class="{kind}" font-size="{size:g}">{rows}</text>'
