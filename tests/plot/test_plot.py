"""The pictures: what they show, on which axes, and what they refuse."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

import nnlite as nn
from nnlite.errors import ShapeError

DIAGONAL = [[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def linear(W, *last):
    layer = nn.Linear(*np.shape(W), dtype=np.float64)
    layer.W = W
    return nn.Sequential(layer, *last)


def colour_at(ax, x, y):
    """The colour of the picture at a point: red, green, blue."""
    picture = ax.images[0].get_array()
    left, right, bottom, top = ax.images[0].get_extent()
    row, column = (
        (picture.shape[0] - 1) * (y - bottom) / (top - bottom),
        (picture.shape[1] - 1) * (x - left) / (right - left),
    )
    return picture[round(row), round(column)]


# ------------------------------------------------------------------------------------------------------- boundary


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (linear([[2.0], [0.0]], nn.Sigmoid()), {}),
        (linear([[2.0], [0.0]]), {}),
        (linear([[2.0], [0.0]]), {"logits": True}),
        (linear([[0.0, 2.0], [0.0, 0.0]], nn.Softmax()), {}),
        (linear([[0.0, 2.0], [0.0, 0.0]], nn.LogSoftmax()), {}),
        (nn.Sequential(linear([[2.0], [0.0]]), nn.Sum(1)), {}),
    ],
    ids=["sigmoid", "logit", "logits", "softmax", "log_softmax", "of shape (N,)"],
)
def test_a_line_divides_the_plane_where_both_classes_are_equally_probable(model, options):
    ax = nn.plot.boundary(model, DIAGONAL, [0, 1, 0, 1], resolution=21, **options)
    (line,) = ax.collections[0].get_paths()
    np.testing.assert_allclose(line.vertices[:, 0], 0.0, atol=1e-6)
    left, right = colour_at(ax, -1, 0), colour_at(ax, 1, 0)
    assert left[2] > left[0]  # blue, class 0
    assert right[0] > right[2]  # orange, class 1
    assert colour_at(ax, -1, 0)[0] < colour_at(ax, -0.1, 0)[0]  # surer, so stronger
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["class 0", "class 1"]


def test_three_classes_have_three_regions():
    model = linear([[1.0, -1.0, 0.0], [0.0, 0.0, 1.5]])
    ax = nn.plot.boundary(model, DIAGONAL, np.eye(3)[[0, 1, 2, 2]], resolution=21)
    points = (1, -1), (-1, -1), (0, 1)
    assert len({tuple(np.round(colour_at(ax, *point), 3)) for point in points}) == 3
    assert len(ax.get_legend().get_texts()) == 3


def test_without_classes_the_samples_have_one_colour():
    ax = nn.plot.boundary(linear([[1.0], [0.0]]), DIAGONAL)
    assert len(ax.collections[-1].get_offsets()) == 4
    assert ax.get_legend() is None


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((linear([[1.0], [0.0]]), [[1.0]]), {}, ShapeError, r"expected X of shape \(N, 2\), got \(1, 1\)"),
        ((linear([[1.0], [0.0]]), DIAGONAL, [0, 1]), {}, ShapeError, "a class for each of the 4 rows of X, got 2"),
        ((linear([[1.0], [0.0]]), DIAGONAL, [0, 1, 2, 0]), {}, ValueError, "expected classes from 0 to 1"),
        ((linear([[3.0], [0.0]]), DIAGONAL), {"logits": False}, ValueError, "not between 0 and 1"),
        ((linear([[1.0], [0.0]]), DIAGONAL), {"resolution": 1}, ValueError, "plot.boundary: resolution"),
        ((linear([[1.0], [0.0]]), DIAGONAL), {"ax": 3}, TypeError, "plot.boundary: ax: expected axes"),
    ],
)
def test_boundary_refuses(arguments, options, error, message):
    with pytest.raises(error, match=message):
        nn.plot.boundary(*arguments, **options)


# --------------------------------------------------------------------------------------------------------- images


def test_images_are_rows_of_data_and_columns_of_weights():
    X = np.arange(12.0).reshape(2, 6)
    by_row, by_column = nn.plot.images(X, (2, 3), columns=2), nn.plot.images(X.T, (2, 3), columns=2)
    for ax in by_row, by_column:
        picture = ax.images[0].get_array()
        assert picture[:, :3].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert picture[:, 4:].tolist() == [[6, 7, 8], [9, 10, 11]]
        assert picture.mask[:, 3].all()
        assert ax.images[0].get_clim() == (0, 11)


def test_weights_have_one_scale_with_white_at_zero():
    ax = nn.plot.images([[[1.0, -3.0]], [[0.5, 2.0]]])
    assert ax.images[0].get_clim() == (-3, 3)
    np.testing.assert_allclose(ax.images[0].cmap(0.5), 1, atol=0.05)


def test_no_lines_are_drawn_around_images_that_are_missing():
    ax = nn.plot.images(np.ones((4, 2, 2)), columns=3)
    (rest,) = ax.patches  # a pixel is 1 wide around its whole number; the lines are pixels 2 and 5
    assert (*rest.get_xy(), ax.images[0].get_array().shape) == (1.5, 1.5, (5, 8))
    assert rest.get_x() + rest.get_width() >= 7.5
    assert rest.get_y() + rest.get_height() >= 4.5


def test_ten_classes_have_a_colour_and_a_mark_each():
    from nnlite.plot.boundary import COLOURS, MARKERS

    assert len(set(COLOURS)) == len(set(MARKERS)) == 10


def test_images_of_three_channels_are_coloured():
    ax = nn.plot.images(np.ones((1, 3, 2, 2)) * np.array([1.0, 0.5, 0.0])[:, None, None])
    assert ax.images[0].get_array()[0, 0].tolist() == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (np.ones((4, 4)), {"shape": (2, 2)}, ValueError, "X is square: pass axis=0 if each row is an image, axis=1"),
        (np.ones((4, 5)), {"shape": (2, 3)}, ShapeError, r"rows or columns of 2 x 3 = 6 numbers, got \(4, 5\)"),
        (np.ones((4, 6)), {"shape": (2, 3), "axis": 1}, ShapeError, "rows or columns of 2 x 3 = 6"),
        (np.ones((4, 6)), {"shape": (6,)}, ShapeError, r"expected a matrix and shape=\(height, width\)"),
        (np.ones(4), {}, ShapeError, r"expected \(n, height, width\)"),
        (np.ones((1, 2, 3, 3)), {}, ShapeError, "1 or 3"),
        (np.ones((0, 2, 2)), {}, ShapeError, "expected"),
        (np.ones((2, 2, 2)), {"columns": 0}, ValueError, "plot.images: columns"),
    ],
)
def test_images_refuse(X, options, error, message):
    with pytest.raises(error, match=message):
        nn.plot.images(X, options.pop("shape", None), **options)


def test_the_images_of_a_square_matrix_are_those_of_the_axis():
    X = np.arange(16.0).reshape(4, 4)
    pictures = [nn.plot.images(X, (2, 2), axis=axis, columns=4).images[0].get_array() for axis in (0, 1)]
    assert pictures[0][:, :2].tolist() == [[0, 1], [2, 3]]
    assert pictures[1][:, :2].tolist() == [[0, 4], [8, 12]]


# -------------------------------------------------------------------------------- histories and confusion_matrix


def test_histories_share_axes_and_validation_has_the_colour_of_its_training():
    one, other = nn.History({"loss": [3.0, 2.0], "val_loss": [3.0, 2.5]}), nn.History({"loss": [1.0, 0.5]})
    ax = nn.plot.histories({"lr 0.1": one, "lr 1": other})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "lr 0.1, training",
        "lr 0.1, validation",
        "lr 1, training",
    ]
    first, second, third = ax.lines
    assert first.get_color() == second.get_color() != third.get_color()
    assert third.get_ydata().tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("histories", "error", "message"),
    [
        ([1], TypeError, "expected a dict such as"),
        ({"a": [1.0]}, TypeError, "expected a dict such as"),
        ({}, ValueError, "at least one history"),
        ({"a": nn.History({"loss": [1.0]})}, ValueError, "the history 'a' has no 'accuracy'; it has loss"),
    ],
)
def test_histories_refuse(histories, error, message):
    with pytest.raises(error, match=message):
        nn.plot.histories(histories, "accuracy")


def test_a_confusion_matrix_shows_its_counts_and_names():
    ax = nn.plot.confusion_matrix(np.eye(3)[[0, 1, 1, 2]], [0, 1, 2, 2], names=["a", "b", "c"])
    counts = {tuple(map(int, text.get_position()[::-1])): text.get_text() for text in ax.texts}
    assert [[counts[row, column] for column in range(3)] for row in range(3)] == [
        ["1", "0", "0"],
        ["0", "1", "0"],
        ["0", "1", "1"],
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.get_ylabel() == "true"
    assert ax.images[0].get_array()[2].tolist() == [0, 0.5, 0.5]  # shares of the row
    with pytest.raises(ValueError, match="names: expected 3, one for each class, got 2"):
        nn.plot.confusion_matrix(np.eye(3), [0, 1, 2], names=["a", "b"])


# ------------------------------------------------------------------------------------------------------- gradients


def test_gradients_after_a_backward_are_histograms_by_parameter():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU(), nn.Linear(2, 1, rng=1))
    with pytest.raises(ValueError, match="all gradients are 0; call forward and backward first"):
        nn.plot.gradients(model)
    model.forward(np.ones((1, 3)))
    model.backward(np.ones((1, 1)))
    model[0].dW = [[1e-3, 0.0], [1e-3, 0.0], [1e-3, 0.0]]
    ax = nn.plot.gradients(model)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0.W", "0.b", "2.W", "2.b"]
    assert ax.lines[0].get_xdata()[0] == pytest.approx(-3, abs=1e-5)
    assert ax.texts[0].get_text().strip() == "50% are 0"


def test_gradients_over_the_epochs_are_those_of_diagnostics():
    X, Y = nn.datasets.sine(40, rng=0)
    model, record = nn.Sequential(nn.Linear(1, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1)), nn.Diagnostics()
    with pytest.raises(ValueError, match="no epoch has been recorded"):
        nn.plot.gradients(record)
    optimizer = nn.SGD(model, lr=0.1)
    nn.fit(model, X, Y, loss=nn.MSELoss(), optimizer=optimizer, epochs=3, verbose=0, rng=0, callbacks=[record])
    ax = nn.plot.gradients(record)
    np.testing.assert_allclose(ax.images[0].get_array(), np.log10([record.gradients["0"], record.gradients["2"]]))
    with pytest.raises(TypeError, match="expected a model or a Diagnostics, got 3"):
        nn.plot.gradients(3)


def test_gradients_of_many_layers_stay_on_a_page():
    model = nn.Sequential(*[nn.Linear(2, 2, rng=number) for number in range(35)])
    model.backward(np.ones_like(model.forward(np.ones((1, 2)))))
    ax = nn.plot.gradients(model)
    assert ax.figure.get_figheight() == 12
    assert [label.get_text() for label in ax.get_yticklabels()][:3] == ["0.W", "1.W", "2.W"]  # every second
    assert len(ax.patches) == 70


# --------------------------------------------------------------------------------------------------------- surface


def contours(ax):
    """The points and levels of the contour lines."""
    return ax.collections[0]


def test_the_surface_of_two_parameters_is_the_loss_at_their_values():
    X, Y = np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]])
    line, loss = nn.Linear(1, 1, dtype=np.float64), nn.MSELoss()
    line.Phi = [2.0, 0.0]  # the minimum
    ax = nn.plot.surface(line, X, Y, loss, size=0.5, resolution=11)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("W[0, 0]", "b[0]")
    np.testing.assert_allclose([*ax.get_xlim(), *ax.get_ylim()], [1.5, 2.5, -0.5, 0.5])
    corner = np.mean((X * 2.5 + 0.5 - Y) ** 2)
    assert contours(ax).zmax == pytest.approx(corner)
    assert contours(ax).zmin == pytest.approx(0)
    assert line.Phi.tolist() == [2.0, 0.0]


def test_a_surface_without_a_finite_loss_is_refused_before_a_figure_is_made():
    line = nn.Linear(1, 1, dtype=np.float64)
    line.Phi = [np.nan, 0.0]
    with pytest.raises(ValueError, match=r"plot.surface: the loss is not finite anywhere"):
        nn.plot.surface(line, [[1.0]], [[1.0]], nn.MSELoss(), resolution=3)
    assert plt.get_fignums() == []


def test_a_surface_with_walls_that_overflow_is_drawn():
    line = nn.Linear(1, 1, dtype=np.float64)
    ax = nn.plot.surface(line, [[1.0]], [[1.0]], WithWalls(), size=1.0, resolution=7)
    assert np.isfinite(contours(ax).levels).all()
    ax.figure.canvas.draw()


class WithWalls(nn.MSELoss):
    """The squared error, and infinity where it is above 1."""

    def forward(self, Y, target):
        J = super().forward(Y, target)
        return J if J < 1 else np.inf


def test_each_band_of_the_surface_has_a_colour_of_its_own():
    X, Y = nn.datasets.moons(60, rng=0)
    model = nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1), nn.Sigmoid())
    ax = nn.plot.surface(model, X, Y, nn.BCELoss(), size=3, rng=0, resolution=9)
    filled = ax.collections[0]
    steps = np.diff(np.asarray(filled.norm((filled.levels[1:] + filled.levels[:-1]) / 2), float))
    assert steps.max() < 1.2 * steps.min()  # along the colours, though not in the loss
    assert np.diff(filled.levels).max() > 2 * np.diff(filled.levels).min()


def test_a_path_lies_on_the_plane_of_its_principal_components():
    X, Y = nn.datasets.moons(60, rng=0)
    model, path = nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1), nn.Sigmoid()), []
    model.astype(np.float64)
    centre = model.Phi.copy()
    one, other = np.linalg.qr(np.random.default_rng(0).normal(size=(centre.size, 2)))[0].T
    path = [centre + a * one + b * other for a, b in [(-3.0, 0.0), (-2.0, 1.0), (-1.0, 0.0), (0.0, 0.0)]]
    ax = nn.plot.surface(model, X, Y, nn.BCELoss(), path=path, resolution=5)
    drawn = np.array(ax.lines[0].get_data()).T
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), np.sqrt([9, 5, 1, 0]), atol=1e-9)  # no part is lost
    assert "(100%)" not in ax.get_xlabel()
    assert ax.get_xlim()[0] <= drawn[:, 0].min() <= drawn[:, 0].max() <= ax.get_xlim()[1]


def test_random_directions_have_the_norms_of_the_units():
    from nnlite.plot.surface import _direction

    model = nn.Sequential(nn.Conv1d(2, 3, 2, rng=0), nn.Flatten(), nn.Linear(6, 4, rng=1))
    direction = _direction(model, np.random.default_rng(0))
    parts = dict(zip([path for path, _ in model.named_parameters()], np.split(direction, [12, 15, 39]), strict=True))
    np.testing.assert_allclose(
        np.linalg.norm(parts["0.W"].reshape(3, 4), axis=1), np.linalg.norm(model[0].W.reshape(3, 4), axis=1), rtol=1e-6
    )
    np.testing.assert_allclose(
        np.linalg.norm(parts["2.W"].reshape(6, 4), axis=0), np.linalg.norm(model[2].W, axis=0), rtol=1e-6
    )
    assert not parts["0.b"].any()
    assert not parts["2.b"].any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": [np.ones(3)]}, ValueError, r"expected vectors of shape \(2,\) like Phi, got \(3,\)"),
        ({"path": [np.ones(2)] * 3}, ValueError, r"all its points are the same; collect copies"),
        ({"parameters": (0, 2)}, ValueError, "expected two different indices below 2"),
        ({"parameters": (1, 1)}, ValueError, "expected two different indices below 2"),
        ({"size": 0}, ValueError, "plot.surface: size"),
        ({"resolution": 1}, ValueError, "plot.surface: resolution"),
    ],
)
def test_surface_refuses(options, error, message):
    with pytest.raises(error, match=message):
        nn.plot.surface(nn.Linear(1, 1), [[1.0]], [[1.0]], nn.MSELoss(), **options)


# ------------------------------------------------------------------------------------------------------- all of them


def test_each_draws_on_the_axes_given_and_returns_them():
    X, Y = nn.datasets.moons(20, rng=0)
    model = nn.Sequential(nn.Linear(2, 1, rng=0), nn.Sigmoid())
    model.forward(X)
    model.backward(np.ones((20, 1)))
    draw = {
        "boundary": lambda ax: nn.plot.boundary(model, X, Y, ax=ax),
        "confusion_matrix": lambda ax: nn.plot.confusion_matrix(nn.predict(model, X), Y, ax=ax),
        "gradients": lambda ax: nn.plot.gradients(model, ax=ax),
        "histories": lambda ax: nn.plot.histories({"a": nn.History({"loss": [1.0]})}, ax=ax),
        "images": lambda ax: nn.plot.images(model[0].W, (1, 2), ax=ax),
        "surface": lambda ax: nn.plot.surface(model, X, Y, nn.BCELoss(), parameters=(0, 1), resolution=3, ax=ax),
    }
    assert sorted(draw) == nn.plot.__all__
    figure, axes = plt.subplots(2, 3)
    for ax, call in zip(axes.flat, draw.values(), strict=True):
        assert call(ax) is ax
    assert plt.get_fignums() == [figure.number]


def test_without_matplotlib_the_error_names_the_extra():
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import nnlite as nn\n"
        "try:\n    nn.plot.images([[[1.0]]])\n"
        "except ImportError as error:\n    print(error.__notes__)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "nnlite.plot.images draws with matplotlib: install nnlite's extra 'plot'" in run.stdout


def test_what_cannot_be_shown_is_an_error():
    with pytest.raises(ValueError, match="boundary: X: expected finite numbers, got NaN or infinity"):
        nn.plot.boundary(nn.Linear(2, 1, rng=0), [[0.0, np.nan], [1.0, 1.0]])
    with pytest.raises(nn.ShapeError, match=r"boundary: expected at least one row of X, got X of shape \(0, 2\)"):
        nn.plot.boundary(nn.Linear(2, 1, rng=0), np.zeros((0, 2)))
    with pytest.raises(nn.ShapeError, match=r"images: expected at least one image, got X of shape \(0, 64\)"):
        nn.plot.images(np.zeros((0, 64)), (8, 8))
    with pytest.raises(TypeError, match=r"loss: expected a Loss, got 'mse'; write loss=nnlite\.MSELoss\(\)"):
        nn.plot.surface(nn.Linear(1, 1, rng=0), [[1.0]], [[1.0]], "mse")


def test_a_surface_of_a_model_with_several_outputs():
    x, w, b = nn.Input("x"), nn.Parameter(1.0, name="w"), nn.Parameter(0.0, name="b")
    model = nn.Graph(x, [w * x, x + b])
    X, Y = np.ones((2, 1)), (np.ones((2, 1)), np.ones((2, 1)))
    ax = nn.plot.surface(model, X, Y, (nn.MSELoss(), nn.MSELoss()), resolution=5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("w", "b")
