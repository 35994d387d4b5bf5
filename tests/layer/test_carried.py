"""Which attributes a method leaves to its next call: read off the bytecode, along all paths."""

import numpy as np
import pytest

import nnlite as nn
from nnlite.layer.carried import accumulated_names, carried_names


class Base:
    scale = None

    def first_step_in_super(self):
        self.v = np.zeros(3)
        return self.v

    def carried_by_super(self):
        self.m += 1


class Methods(Base):
    """Each method carries what its first line says."""

    def augmented(self):  # count
        self.count += 1

    def read_in_the_same_line(self):  # square
        self.square = 0.1 + (0 if self.square is None else 0.9 * self.square)

    def made_in_the_first_step(self):  # v
        if self.v is None:
            self.v = np.zeros(3)
        self.v *= 2

    def made_where_there_is_none(self):  # v
        if not hasattr(self, "v"):
            self.v = np.zeros(3)
        self.v = self.v * 2

    def with_a_default(self):  # v
        self.v = getattr(self, "v", 0) + 1

    def assigned_on_one_path(self, first):  # v
        if first:
            self.v = 0.0
        else:
            self.v = 0.9 * self.v + 1

    def a_class_attribute(self):  # scale
        self.scale = 1 if self.scale is None else self.scale + 1

    def entries(self):  # v
        self.v[0] = 1

    def all_entries_from_themselves(self):  # v
        self.v[...] = 2 * self.v

    def a_slice(self, i):  # v
        self.v[i:4] += self.f(i)

    def out(self):  # m
        np.multiply(self.m, 2, out=self.m)

    def in_a_loop(self, values):  # last
        for value in values:
            self.step, self.last = value - self.last, value

    def in_a_while_loop(self):  # k
        while self.k < 3:
            self.k += 1

    def in_another_method(self):  # y
        self.x = self.y
        self.helper()

    def helper(self):
        self.w, self.y = self.x, 3
        self.z = self.w
        return self.z

    def in_a_comprehension(self):  # total
        self.total = sum([self.total for _ in range(3)])

    def by_super(self):  # m
        super().carried_by_super()

    def of_a_property(self):  # n
        return self.counted

    @property
    def counted(self):
        self.n = self.n + 1
        return self.n

    def temporary(self, lr):
        self._rate = lr
        return self._rate

    def temporary_in_another_method(self):
        self.x = self.y = 1
        self.helper()

    def temporary_on_both_paths(self, first):
        if first:
            self.v = 1
        else:
            self.v = 2
        return [self.v for _ in range(3)]

    def temporary_in_a_loop(self, values):
        for value in values:
            if not value:
                continue
            self.t = value
            self.u = self.t

    def temporary_after_a_return(self, early):
        if early:
            return None
        self.v = 3
        return self.v

    def temporary_in_a_block(self):
        with np.errstate(over="ignore"):
            self.v = 2
        try:
            self.w = 1
        finally:
            self.w += 1
        return self.v

    def temporary_by_super(self):
        super().first_step_in_super()
        return self.v

    def temporary_as_out(self, X):
        np.multiply(X, 2, out=self._work)
        return self._work

    def temporary_of_which_all_entries_are_written(self, X):
        self._work[...] = X
        return self._work

    def read_only(self):
        return self.option, self.table[3]

    def of_another_object(self):
        self.layer.Phi -= self.layer.dPhi
        self.layer.count = self.layer.count + 1
        self.layer.W[...] = 2 * self.layer.W

    def calls_itself(self):
        self.v = 1
        return self.calls_itself(), self.v


EXPECTED = {
    "augmented": "count",
    "read_in_the_same_line": "square",
    "made_in_the_first_step": "v",
    "made_where_there_is_none": "v",
    "with_a_default": "v",
    "assigned_on_one_path": "v",
    "a_class_attribute": "scale",
    "entries": "v",
    "all_entries_from_themselves": "v",
    "a_slice": "v",
    "out": "m",
    "in_a_loop": "last",
    "in_a_while_loop": "k",
    "in_another_method": "y",
    "in_a_comprehension": "total",
    "by_super": "m",
    "of_a_property": "n",
    "helper": "",
}


@pytest.mark.parametrize(
    "method", [name for name in vars(Methods) if name[0] != "_" and callable(getattr(Methods, name))]
)
def test_what_a_method_carries(method):
    assert " ".join(sorted(carried_names(Methods, method))) == EXPECTED.get(method, "")


class Accumulated:
    """What accumulates, and below what is only made again."""

    def in_one_line(self, X):
        self.x = 0.9 * self.x + X

    def in_several_lines(self, X):
        self.x = np.where(
            X,
            1,
            0 if self.x is None else self.x,
        )

    def in_another_method(self):
        self.in_one_line(3)

    def augmented(self):
        self.x -= 1

    def one_entry(self, i, X):
        self.x[i] = X

    def made_again(self, X):
        if self.x is None or self.x.shape != X.shape:
            self.x = np.tril(X)
        return self.x

    def made_again_in_one_line(self, X):
        if self.x is None: self.x = np.tril(X)  # fmt: skip  # noqa: E701
        return self.x


@pytest.mark.parametrize("method", [name for name in vars(Accumulated) if name[0] != "_"])
def test_what_a_method_accumulates(method):
    assert accumulated_names(Accumulated, method) == (frozenset() if "made" in method else {"x"})
    assert carried_names(Accumulated, method) == {"x"}


def test_methods_that_are_not_there_or_not_in_python_carry_nothing():
    assert not carried_names(Methods, "no_such_method")
    assert not carried_names(list, "append")


SHAPES = {"_Y_shape", "_Y_dtype"}  # of the output, which containers read in an error


@pytest.mark.parametrize(
    "name",
    [name for name in dir(nn) if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Layer)],
)
def test_layers_of_nnlite_carry_only_what_they_declare(name):
    cls = getattr(nn, name)
    assert carried_names(cls, "forward") - SHAPES <= {*cls._parameters, *cls._buffers}
    assert carried_names(cls, "backward") - SHAPES <= {*cls._parameters, *cls._buffers}
