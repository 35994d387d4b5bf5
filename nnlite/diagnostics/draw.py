"""draw: the computational graph of a model as a figure."""

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Unpack

from nnlite.basics.checks import whole
from nnlite.diagnostics.graph_layout import Arc, Layout, Point, Size, layout
from nnlite.diagnostics.picture import FILLS, DrawnNode, Options, Picture, picture
from nnlite.layer.layer import Layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = 10.0  # points, as all lengths here
FAMILY = "DejaVu Sans"  # comes with matplotlib and has all the symbols
GAP = 28.0, 14.0  # between columns, and between the boxes of a column
MARGIN = 12.0
PAGE = 720.0  # the width of the lines into which a long chain is folded
COLOURS = {"name": "black", "detail": "0.5", "value": "#1a7f37", "gradient": "#cf222e"}
EDGE = "0.35"

Measure = Callable[[str, float], Size]


def draw(
    model: Layer,
    X: Any = None,
    target: Any = None,
    loss: Layer | None = None,
    *,
    upto: int | None = None,
    **options: Unpack[Options],
) -> "Figure":
    """Draw the computational graph of a model, from left to right; returns the figure.

    Nodes are inputs, parameters and operations. The value of each edge is written above it (green), and the gradient
    that comes back below it (red). Small arrays are shown in full, larger ones by their shape, and their gradients by
    the Euclidean norm. Below a node whose value is used more than once is the sum of its gradients. A chain of
    more than 15 inches, with or without a loss, is folded into lines of ten; where two values are needed side by side,
    as along a skip connection, no line ends. Runs on a copy; the model stays unchanged.

    Args:
        model: any Layer; :func:`nnlite.forward_steps` says which layers are split into several nodes.
        X: its input; a tuple or a dict by name if there are several. Without it only the structure is drawn, with the
            known shapes.
        target: the target of the loss.
        loss: a loss behind the model, which is drawn, too.
        upto: with an X, show what is known after so many operations of forward and then of backward, in a picture of
            the same size each time: the frames of a film.
        options: by name,
            ``dY``, the gradient of the output, in the form of the output; 1 by default if the output is a single
            number. No gradients are drawn without it or a loss;
            ``values=True`` and ``gradients=True``: whether to show them;
            ``names``, names of your own: for inputs by their name, for layers and parameters by their path,
            ``{"0": "hidden", "0.W": "U"}``;
            ``most=4``: arrays of at most so many numbers are shown in full.

    Raises:
        ImportError: matplotlib, the extra ``plot``, is not installed.
        TypeError: ``model`` is not a Layer or ``loss`` not a Loss, X does not hold real numbers, or both a loss and dY
            are given.
        ValueError: an unknown name in ``names``, ``most`` is below 1 or ``upto`` below 0, or a loss and X without a
            target.

    >>> import nnlite as nn
    >>> a, b = nn.Input("a"), nn.Input("b")
    >>> figure = draw(nn.Graph([a, b], (a + b) * (b + 1)), (2.0, 1.0))
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_color() == COLOURS["gradient"]]
    ['2', '2', '3', '2', '3', '1', 'sum 5']
    """
    shown = picture(model, X, target, loss, **options)
    if upto is not None:
        whole(upto, "draw: upto", least=0)
    try:
        from nnlite.basics.figures import new_figure
    except ImportError as error:
        error.add_note("draw needs matplotlib: install nnlite's extra 'plot'")
        raise
    placed = arranged(shown)
    width, height = (length + 2 * MARGIN for length in placed.size)
    figure = new_figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(-MARGIN, width - MARGIN), ylim=(-MARGIN, height - MARGIN))
    axes.set_axis_off()
    shapes = [body(node) for node in shown.nodes]
    if upto is not None and X is not None:
        shown = shown.after(upto)
    for edge, route, (x, y) in zip(shown.edges, placed.routes, placed.labels, strict=True):
        (start, low), (end, high) = placed.nodes[edge.start], placed.nodes[edge.end]
        out, into = (shapes[number][0] / 2 for number in (edge.start, edge.end))
        _draw_route(axes, [(start + out, low), *route[1:-1], (end - into, high)])
        _write(axes, x, y + 2, edge.value, "value", "bottom")
        _write(axes, x, y - 3, edge.gradient, "gradient", "top")
    for node, centre, shape in zip(shown.nodes, placed.nodes, shapes, strict=True):
        _draw_node(axes, node, centre, shape)
    return figure


def arranged(shown: Picture, measure: "Measure | None" = None, page: float = PAGE) -> Layout:
    """The layout of a picture, in points; ``measure`` of a text and a font size is its size.

    >>> import nnlite as nn
    >>> [round(y, 3) for x, y in arranged(picture(nn.Tanh())).nodes]
    [13.0, 13.0, 13.0]
    """
    measure = measure or text_size
    sizes = []
    for node in shown.nodes:
        (width, height), below = body(node, measure), measure(node.below, FONT - 1)
        sizes.append((max(width, below[0]), height + 2 * (below[1] + 4) * bool(node.below)))
    arcs = []
    for edge in shown.edges:
        above, below = measure(edge.value, FONT - 1), measure(edge.gradient, FONT - 1)
        arcs.append(Arc(edge.start, edge.end, (max(above[0], below[0]) + 6, 2 * max(above[1], below[1]) + 10)))
    inputs = [number for number, node in enumerate(shown.nodes) if node.kind == "input"]
    return layout(sizes, arcs, GAP, inputs, page)


def body(node: DrawnNode, measure: "Measure | None" = None) -> Size:
    """The size of a node without the text below it.

    >>> body(DrawnNode("gate", (("+", "name"),)))
    (26.0, 26.0)
    """
    lines = [(measure or text_size)(line, font_size(kind)) for line, kind in node.lines]
    width, height = max(w for w, _ in lines), sum(h for _, h in lines) + 3 * (len(lines) - 1)
    if node.kind == "gate":
        side = max(width + 8, height + 8, 26.0)
        return side, side
    return max(width + 12, 26.0), max(height + 10, 26.0)


def text_size(text: str, size: float) -> Size:
    """The width and height of a text of one or more lines, in points.

    >>> text_size("", 10.0)
    (0.0, 0.0)
    >>> text_size("wide", 10.0)[0] > text_size("w", 10.0)[0]
    True
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    if not text:
        return 0.0, 0.0
    lines, font = text.split("\n"), FontProperties(family=FAMILY, size=size)
    widths = [text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in lines]
    return float(max(widths)) * 1.05, 1.2 * size * len(lines)


def font_size(kind: str) -> float:
    """The size of the font of a kind of text, in points.

    >>> font_size("name")
    11.0
    """
    return {"name": FONT + 1, "detail": FONT - 3}.get(kind, FONT - 1)


def _write(axes: "Axes", x: float, y: float, text: str, kind: str, side: str) -> None:
    look: dict[str, Any] = {"color": COLOURS[kind], "size": font_size(kind), "family": FAMILY}
    if text:
        axes.text(x, y, text, ha="center", va=side, zorder=3, parse_math=False, **look)  # a dollar sign: no formula


def _draw_route(axes: "Axes", route: list[Point]) -> None:
    """Draw an edge: straight through columns, with smooth bends between them."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    points, codes = [route[0]], [Path.MOVETO]
    for (x, y), (x_next, y_next) in pairwise(route):
        middle = (x + x_next) / 2  # a curve between points of one height is a straight line
        points += [(middle, y), (middle, y_next), (x_next, y_next)]
        codes += [Path.CURVE4] * 3
    axes.add_patch(PathPatch(Path(points, codes), fill=False, edgecolor=EDGE, linewidth=0.9, zorder=1))
    x, y = route[-1]
    head = [(x, y), (x - 6, y + 2.5), (x - 6, y - 2.5)]
    axes.add_patch(Polygon(head, facecolor=EDGE, edgecolor="none", zorder=1))


def _draw_node(axes: "Axes", node: DrawnNode, centre: Point, size: Size) -> None:
    """Draw a node, the text in it, and below it the sum of its gradients."""
    from matplotlib.patches import Ellipse, FancyBboxPatch, Patch

    (x, y), (width, height), fill = centre, size, FILLS[node.kind]
    look: dict[str, Any] = {"fc": fill, "ec": "none" if fill == "none" else EDGE, "linewidth": 0.9, "zorder": 2}
    shape: Patch = Ellipse(centre, width, height, **look)
    if node.kind != "gate":
        corner = x - width / 2, y - height / 2
        shape = FancyBboxPatch(corner, width, height, "round,pad=0,rounding_size=6", **look)
    axes.add_patch(shape)
    heights = [text_size(line, font_size(kind))[1] for line, kind in node.lines]
    top = y + (sum(heights) + 3 * (len(heights) - 1)) / 2
    for (line, kind), tall in zip(node.lines, heights, strict=True):
        _write(axes, x, top - tall / 2, line, kind, "center")
        top -= tall + 3
    _write(axes, x, y - height / 2 - 3, node.below, "gradient", "top")
