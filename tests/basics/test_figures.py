"""new_figure: figures that a notebook shows once."""

import pickle

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from nnlite.basics.figures import new_figure

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("backend", ["inline", "module://matplotlib_inline.backend_inline"])
def test_a_figure_that_a_notebook_shows_as_the_result_of_a_cell_is_not_shown_again_at_its_end(backend, monkeypatch):
    """IPython calls ``_ipython_display_`` first, and if it raises NotImplementedError, shows the figure as a picture.

    The inline backend then shows the figures that are open in pyplot.
    """
    figure = new_figure()
    with pytest.raises(NotImplementedError):
        figure._ipython_display_()
    assert plt.gcf() is figure  # there is no inline backend, and a window stays open
    monkeypatch.setattr(mpl, "get_backend", lambda: backend)
    other = new_figure()
    for _ in range(2):
        with pytest.raises(NotImplementedError):
            figure._ipython_display_()
        assert plt.get_fignums() == [other.number]


def test_a_figure_can_be_pickled():
    figure = new_figure(figsize=(3, 2))
    assert pickle.loads(pickle.dumps(figure)).get_size_inches().tolist() == [3, 2]
