"""History: series by name, and how they print, save and draw."""

import builtins
import json
import math
import re

import matplotlib as mpl
import pytest

import nnlite as nn

mpl.use("Agg")


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


@pytest.mark.parametrize("values", [{"loss": 1.0}, {"loss": 1.0, "accuracy": 1.0, "val_loss": 1.0}, {}])
def test_an_epoch_with_other_names_is_an_error_and_adds_nothing(values):
    recorded = history(1, "loss", "accuracy")
    with pytest.raises(ValueError, match=r"expected values for \['loss', 'accuracy'\], got"):
        recorded.add(values)
    assert recorded == {"loss": [1.0], "accuracy": [10.0]}


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


# ---------------------------------------------------------------------------------------------------- plot


def drawn(figure):
    """(label of y, [(label, values) of each line], whether there is a legend) of each axes."""
    return [
        (
            axes.get_ylabel(),
            [(line.get_label(), list(line.get_ydata())) for line in axes.lines],
            axes.get_legend() is not None,
        )
        for axes in figure.axes
    ]


@pytest.fixture(autouse=True)
def _close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_plot_of_one_series_is_one_line():
    figure = history(3, "loss").plot()
    assert drawn(figure) == [("loss", [("training", [1.0, 2.0, 3.0])], False)]
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 2, 3]
    assert figure.axes[0].get_xlabel() == "epoch"


def test_plot_draws_training_beside_validation_on_axes_of_each_quantity():
    assert drawn(history(2, "loss", "accuracy", "val_loss", "val_accuracy").plot()) == [
        ("loss", [("training", [1.0, 2.0]), ("validation", [100.0, 200.0])], True),
        ("accuracy", [("training", [10.0, 20.0]), ("validation", [1000.0, 2000.0])], True),
    ]


def test_plot_draws_a_validation_series_that_stands_alone():
    assert [axes.get_ylabel() for axes in history(2, "loss", "val_accuracy").plot().axes] == ["loss", "val_accuracy"]


def test_plot_of_one_epoch_shows_points():
    figure = history(1, "loss", "val_loss").plot()
    assert [line.get_marker() for line in figure.axes[0].lines] == ["o", "o"]
    assert [line.get_marker() for line in history(2, "loss").plot().axes[0].lines] == [""]


@pytest.mark.parametrize("epochs", [1, 2, 3, 30])
def test_plot_ticks_whole_epochs_only(epochs):
    figure = history(epochs, "loss").plot()
    figure.canvas.draw()
    assert all(tick == int(tick) for tick in figure.axes[0].get_xticks())


def test_plot_saves_a_picture(tmp_path):
    history(3, "loss", "accuracy", "val_loss", "val_accuracy").plot().savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_plot_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="there is no epoch to draw"):
        nn.History().plot()


def test_plot_without_matplotlib_says_what_to_install(monkeypatch):
    import_module = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError("No module named 'matplotlib'")
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match="matplotlib") as caught:
        history(1, "loss").plot()
    assert "install nnlite's extra 'plot'" in caught.value.__notes__[0]
