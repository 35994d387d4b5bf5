"""History: series by name, and how they print, save and draw."""

import json
import math
import re

import matplotlib as mpl
import pytest

import nnlite as nn

mpl.use("Agg")


LOSS_AND_ACCURACY = ("loss", "accuracy", "val_loss", "val_accuracy")


def history(epochs, *names):
    """Series whose value in epoch e is e for the first name, 10 e for the second, and so on."""
    return nn.History({name: [(e + 1) * 10.0**i for e in range(epochs)] for i, name in enumerate(names)})


def test_add_appends_an_epoch_to_every_series():
    recorded = nn.History()
    recorded.add({"loss": 0.5, "accuracy": 1})
    recorded.add({"accuracy": 0.75, "loss": 0.25})  # the order of the names does not matter
    assert list(recorded) == ["loss", "accuracy"]
    assert recorded["loss"] == [0.5, 0.25]
    assert recorded["accuracy"] == [1.0, 0.75]
    assert type(recorded["accuracy"][0]) is float
    assert (recorded.epochs, len(recorded)) == (2, 2)


def test_it_is_a_mapping_and_equals_a_dict_of_its_series():
    assert history(2, "loss") == {"loss": [1.0, 2.0]}
    assert "val_loss" not in history(2, "loss")


def test_an_unknown_name_is_an_error_that_lists_the_series():
    with pytest.raises(KeyError, match=r"'val_loss'; the series are \['loss', 'accuracy'\]"):
        history(1, "loss", "accuracy")["val_loss"]


def test_a_series_has_nan_for_the_epochs_without_a_value():
    recorded = history(2, "loss", "accuracy")
    recorded.add({"loss": 3.0, "norm": 0.5})
    assert {name: [str(value) for value in values] for name, values in recorded.items()} == {
        "loss": ["1.0", "2.0", "3.0"],
        "accuracy": ["10.0", "20.0", "nan"],
        "norm": ["nan", "nan", "0.5"],
    }


def test_values_of_the_last_epoch_can_be_amended():
    recorded = history(2, "loss")
    recorded.amend({"loss": 7.0, "norm": 0.5})
    assert recorded["loss"] == [1.0, 7.0]
    assert [str(value) for value in recorded["norm"]] == ["nan", "0.5"]


def test_series_of_different_lengths_are_an_error_that_names_them():
    with pytest.raises(ValueError, match=r"one length, got \{'loss': 2, 'accuracy': 1\}"):
        nn.History({"loss": [0.5, 0.4], "accuracy": [1.0]})


def test_it_copies_what_it_is_made_from_and_what_it_gives():
    series = {"loss": [0.5]}
    recorded = nn.History(series)
    series["loss"].append(0.4)
    recorded.to_dict()["loss"].append(0.3)
    assert recorded.to_dict() == {"loss": [0.5]}
    assert type(recorded.to_dict()) is dict


def test_json_gives_every_bit_back():
    recorded = nn.History({"loss": [0.1, 1 / 3, 1e-300], "val_loss": [math.pi, math.inf, 5e-324]})
    assert nn.History(json.loads(recorded.to_json())) == recorded


def test_json_keeps_nan():
    assert math.isnan(json.loads(nn.History({"loss": [math.nan]}).to_json())["loss"][0])


# ---------------------------------------------------------------------------------------------------- repr


def test_repr_of_nothing():
    assert repr(nn.History()) == "History(no epochs)"


def test_repr_is_a_table_with_a_line_an_epoch():
    recorded = nn.History({"loss": [0.693147, 1e-9, 123456.0], "a_longer_name": [0.7, math.nan, math.inf]})
    assert [line.split() for line in repr(recorded).splitlines()] == [
        ["epoch", "loss", "a_longer_name"],
        ["1", "0.6931", "0.7"],
        ["2", "1e-09", "nan"],
        ["3", "1.235e+05", "inf"],
    ]


@pytest.mark.parametrize("value", [0.5, 1e-9, 12345.678, -123456.0, -1.2345e-300, math.nan])
@pytest.mark.parametrize("name", ["x", "loss", "val_binary_accuracy"])
def test_reprs_columns_stand_in_line(value, name):
    lines = repr(nn.History({"first": [value] * 12, name: [value, 0.5] * 6})).splitlines()
    ends = [[end.end() for end in re.finditer(r"\S+", line)] for line in lines if "..." not in line]
    assert all(line == ends[0] for line in ends)
    assert len(ends) == 10
    assert all("  " in line.strip() for line in lines if "..." not in line)


def test_repr_shows_10_epochs_whole():
    lines = repr(history(10, "loss")).splitlines()
    assert [line.split() for line in lines[1:]] == [[str(e), str(e)] for e in range(1, 11)]


@pytest.mark.parametrize("epochs", [11, 1000])
def test_repr_shows_the_first_3_and_the_last_6_of_more(epochs):
    lines = repr(history(epochs, "loss")).splitlines()
    shown = [1, 2, 3, *range(epochs - 5, epochs + 1)]
    assert lines[0].split() == ["epoch", "loss"]
    assert lines[4].strip() == "..."
    assert [line.split() for line in lines[1:4] + lines[5:]] == [[str(e), f"{e:.4g}"] for e in shown]


# ---------------------------------------------------------------------------------------------------- best


def test_the_best_epoch_has_the_lowest_validation_loss_or_else_the_lowest_loss():
    assert nn.History({"loss": [3.0, 2.0, 1.0], "val_loss": [0.5, 0.25, 0.75]}).best() == (2, 0.25)
    assert nn.History({"loss": [3.0, 1.0, 2.0], "val_f1": [0.1, 0.2, 0.3]}).best() == (2, 1.0)


def test_the_best_epoch_of_any_series_lowest_or_highest():
    recorded = nn.History({"loss": [3.0, 2.0, 1.0], "f1": [0.25, 0.75, 0.5]})
    assert recorded.best("f1") == recorded.best("f1", mode="max") == (2, 0.75)
    assert recorded.best("f1", mode="min") == (1, 0.25)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_of_equal_epochs_is_the_first_and_never_one_that_is_not_finite(mode):
    values = [math.nan, math.inf, -math.inf, 0.5, 0.5, math.nan]
    assert nn.History({"loss": values}).best(mode=mode) == (4, 0.5)


def test_where_no_epoch_is_the_best_that_is_an_error():
    with pytest.raises(ValueError, match="no epoch with a finite val_loss"):
        nn.History({"loss": [0.5], "val_loss": [math.nan]}).best()
    with pytest.raises(KeyError, match=r"'loss'; the series are \['f1'\]"):
        nn.History({"f1": [0.5]}).best()
    with pytest.raises(KeyError, match=r"'loss'; the series are \[\]"):
        nn.History().best()
    with pytest.raises(ValueError, match="mode: expected 'min' or 'max' or 'auto', got 'best'"):
        nn.History({"f1": [0.5]}).best("f1", mode="best")


# ---------------------------------------------------------------------------------------------------- plot


def drawn(figure):
    """(label of y, [(label, values) of each line], what the legend says) of each axes."""
    return [
        (
            axes.get_ylabel(),
            [(line.get_label(), list(line.get_ydata())) for line in axes.lines if not is_mark(line)],
            [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else [],
        )
        for axes in figure.axes
    ]


def is_mark(line):
    """Whether it is the line at the best epoch or the ring on it."""
    return line.get_label().startswith("_") or "epoch " in line.get_label()


def marks(figure):
    """(epoch of the line, [(epoch, value) of the ring]) of each axes."""
    result = []
    for axes in figure.axes:
        line, ring = [line for line in axes.lines if is_mark(line)] or (None, None)
        result.append(ring and (line.get_xdata()[0], *ring.get_xydata().tolist()[0]))
    return result


@pytest.fixture(autouse=True)
def _close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_plot_of_one_series_is_one_line():
    figure = history(3, "loss").plot()
    assert drawn(figure) == [("loss", [("training", [1.0, 2.0, 3.0])], ["training", "best, epoch 1: 1"])]
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 2, 3]
    assert figure.axes[0].get_xlabel() == "epoch"


def test_plot_draws_training_beside_validation_on_axes_of_each_quantity():
    lines = [(label, series) for label, series, _ in drawn(history(2, *LOSS_AND_ACCURACY).plot())]
    assert lines == [
        ("loss", [("training", [1.0, 2.0]), ("validation", [100.0, 200.0])]),
        ("accuracy", [("training", [10.0, 20.0]), ("validation", [1000.0, 2000.0])]),
    ]


def test_plot_draws_a_validation_series_that_stands_alone():
    assert drawn(history(2, "loss", "val_accuracy").plot())[1] == (
        "val_accuracy",
        [("validation", [10.0, 20.0])],
        ["validation", "epoch 1: 10"],
    )


def test_plot_of_what_is_only_called_like_a_loss_of_one_output():
    assert [axes.get_ylabel() for axes in history(2, "loss_u", "f1").plot().axes] == ["loss_u", "f1"]


def test_plot_of_one_epoch_shows_points():
    figure = history(1, "loss", "val_loss").plot()
    assert [line.get_marker() for line in figure.axes[0].lines if not is_mark(line)] == ["o", "o"]
    assert [line.get_marker() for line in history(2, "loss").plot().axes[0].lines if not is_mark(line)] == [""]


def test_plot_marks_the_epoch_of_the_lowest_validation_loss_on_every_axes_and_says_the_values_there():
    figure = nn.History(
        {"loss": [3.0, 2.0, 1.0], "f1": [0.1, 0.2, 0.3], "val_loss": [5.0, 4.0, 6.0], "val_f1": [0.4, 0.51239, 0.6]}
    ).plot()
    assert marks(figure) == [(2, 2.0, 4.0), (2, 2.0, 0.51239)]
    assert [legend for _, _, legend in drawn(figure)] == [
        ["training", "validation", "best, epoch 2: 4"],
        ["training", "validation", "epoch 2: 0.5124"],
    ]


def test_plot_marks_the_lowest_loss_where_there_is_no_validation():
    figure = nn.History({"loss": [3.0, 1.0, 2.0], "f1": [0.1, 0.2, 0.3]}).plot()
    assert marks(figure) == [(2, 2.0, 1.0), (2, 2.0, 0.2)]
    assert drawn(figure)[1][2] == ["training", "epoch 2: 0.2"]


def test_a_value_that_is_nan_first_is_no_extreme():
    """As of livelossplot#26: after a NaN no comparison is true."""
    recorded = nn.History({"loss": [math.nan, 0.5, 0.4, math.nan], "f1": [math.nan, 0.5, 0.75, 0.5]})
    assert (recorded.best(), recorded.best("f1")) == ((3, 0.4), (3, 0.75))
    assert marks(recorded.plot()) == [(3, 3.0, 0.4), (3, 3.0, 0.75)]


@pytest.mark.parametrize("series", [{"accuracy": [0.5, 0.6]}, {"loss": [math.nan, math.inf]}])
def test_plot_marks_nothing_where_no_epoch_is_the_best(series):
    figure = nn.History(series).plot()
    assert marks(figure) == [None]
    assert drawn(figure)[0][2] == []


@pytest.mark.parametrize("parts", [("0", "1"), ("u", "v")])
def test_plot_draws_the_losses_of_several_outputs_on_the_axes_of_the_loss(parts):
    one, two = parts
    names = ["loss", f"loss_{one}", f"loss_{two}", "f1"]
    figure = history(2, *names, *(f"val_{name}" for name in names)).plot()
    loss, f1 = drawn(figure)
    assert (loss[0], f1[0]) == ("loss", "f1")
    assert loss[1] == [
        ("training", [1.0, 2.0]),
        ("validation", [1e4, 2e4]),
        (f"{one}, training", [1e1, 2e1]),
        (f"{one}, validation", [1e5, 2e5]),
        (f"{two}, training", [1e2, 2e2]),
        (f"{two}, validation", [1e6, 2e6]),
    ]
    assert f1[1] == [("training", [1e3, 2e3]), ("validation", [1e7, 2e7])]
    assert marks(figure) == [(1, 1.0, 1e4), (1, 1.0, 1e7)]
    styles = [(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines if not is_mark(line)]
    assert len(set(styles)) == 6


def test_plot_keeps_a_gap_where_a_value_is_nan_and_shows_a_value_alone_between_two():
    figure = nn.History({"loss": [0.9, math.nan, 0.8, math.inf, 0.7, 0.6], "f1": [math.nan] * 5 + [0.5]}).plot()
    figure.canvas.draw()
    loss, f1 = (axes.lines[0] for axes in figure.axes)
    assert (loss.get_marker(), loss.get_markevery()) == ("o", [0, 2])
    assert (f1.get_marker(), f1.get_markevery()) == ("o", [5])
    assert marks(figure)[0] == (6, 6.0, 0.6)
    assert [axes.get_xlim() for axes in figure.axes] == [(0.6, 6.4), (0.6, 6.4)]


def test_plot_says_nan_where_the_value_at_the_best_epoch_is():
    figure = nn.History({"loss": [0.5, 0.9], "f1": [math.nan, 0.5]}).plot()
    assert drawn(figure)[1][2] == ["training", "epoch 1: nan"]


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 3), (7, 3, 3)])
def test_plot_puts_three_axes_in_a_row(count, rows, columns):
    figure = history(2, "loss", *"abcdef"[: count - 1]).plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", *"abcdef"[: count - 1]]
    assert figure.axes[0].get_gridspec().get_geometry() == (rows, columns)
    assert figure.get_size_inches().tolist() == [5 * columns, 3.5 * rows]


@pytest.mark.parametrize("epochs", [1, 2, 3, 30])
def test_plot_ticks_whole_epochs_only(epochs):
    figure = history(epochs, "loss").plot()
    figure.canvas.draw()
    assert all(tick == int(tick) for tick in figure.axes[0].get_xticks())


def test_plot_of_several_histories_on_the_same_axes():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    assert history(3, "loss", "val_loss", "f1").plot(ax=axes, label="a") is figure
    history(5, "loss").plot(ax=axes, label="b")
    lines = [
        ("a, training", [1, 2, 3]),
        ("a, validation", [10, 20, 30]),
        ("b, training", [1, 2, 3, 4, 5]),
    ]
    assert drawn(figure) == [("loss", lines, [label for label, _ in lines])]
    colours, styles = zip(*[(line.get_color(), line.get_linestyle()) for line in axes.lines], strict=True)
    assert (colours[0] == colours[1] != colours[2], styles) == (True, ("-", "--", "-"))
    assert axes.get_xlim() == (0.6, 5.4)


def test_plot_of_another_quantity_on_axes():
    import matplotlib.pyplot as plt

    _, (one, two) = plt.subplots(1, 2)
    figure = history(2, *LOSS_AND_ACCURACY).plot("accuracy", ax=one)
    history(2, *LOSS_AND_ACCURACY).plot("val_loss", ax=two)
    assert drawn(figure) == [
        ("accuracy", [("training", [10, 20]), ("validation", [1000, 2000])], ["training", "validation"]),
        ("val_loss", [("validation", [100, 200])], []),
    ]
    with pytest.raises(KeyError, match="'f1'; the series are"):
        history(2, "loss").plot("f1", ax=one)


def test_plot_saves_a_picture(tmp_path):
    history(3, "loss", "accuracy", "val_loss", "val_accuracy").plot().savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_plot_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="there is no epoch"):
        nn.History().plot()


@pytest.mark.usefixtures("without_matplotlib")
def test_plot_without_matplotlib_says_what_to_install():
    with pytest.raises(ImportError, match="matplotlib") as caught:
        history(1, "loss").plot()
    assert "install nnlite's extra 'plot'" in caught.value.__notes__[0]
