"""ONNX: to_onnx writes a model as a file of ONNX's operators, from_onnx reads one into a trainable model.

A layer says which operators it is by its attribute ``onnx``: an expression in ONNX's operators, in the names of the
arguments of forward and of the layer's attributes::

    onnx = "LeakyRelu(X, alpha=negative_slope)"

- ``A + B``, ``-``, ``*``, ``/``, ``**`` and ``@`` are the operators Add, Sub, Mul, Div, Pow and MatMul, ``A > B`` and
  ``A < B`` are Greater and Less. A value that is None is left out, as ``b`` in ``X @ W + b`` for a Linear without bias.
- Keywords are attributes of the operator, or inputs by their names: ``Clip(X, min=min_val, max=max_val)``.
- ``opset`` is the opset that is written: ``Mish(X) if opset >= 18 else X * Tanh(Softplus(X))``. ``X.shape`` has the
  sizes, None for an unknown one such as that of the batch, and ``X.ndim`` is their number.
- Parameters and buffers of the model become initializers; other arrays, numbers and tuples of whole numbers Constants.

What an expression cannot say, a method does. ``graph`` has the operators, and ``graph.layer`` all those of a layer::

    def onnx(self, graph, X):
        return X + graph.layer(self.inner, X)

It raises NotImplementedError, with the reason, where the layer has an option that ONNX does not have. A subclass with a
forward of its own needs an ``onnx`` of its own, too.

Where the expression is one operator of X, ``from_onnx`` makes a registered layer of that operator.

declared_operators.py evaluates the attribute, graph_builder.py makes the operators with the shapes that they give, and
writing_onnx.py goes through a model. In the other direction checked_onnx.py reads somebody else's file, with
run_on_sizes.py, computed_sizes.py, zero_states.py and fused_operators.py, which finds GELU in it; reading_onnx.py goes
through its operators. Those that no layer declares are methods of Operators in onnx_operators.py, in a file for each
kind: shape_operators.py, reduction_operators.py and so on.
"""

import os
from typing import Any

from nnlite.layer.layer import Layer
from nnlite.saving.atomic_write import atomic_write


def to_onnx(
    model: Layer, path: str | os.PathLike[str], input_shape: Any, *, opset: int = 18, float_masks: bool = False
) -> None:
    """Write a model, as it computes in evaluation mode, as an ONNX file, which onnxruntime and others run.

    Parameters and buffers become initializers with the names of ``state_dict``, one for each array, also where layers
    are tied; those of recurrent layers become Constants, since ONNX has their gates in another order. The first axis of
    each input is the batch, of any size. Numbers have the model's dtype; inputs without a gradient, such as indices and
    lengths, are int64, and masks boolean, unless ``float_masks=True``; a key_padding_mask of shape ``()`` is the
    lengths. The file is checked by ``onnx.checker`` and replaced as a whole.

    A layer says by its attribute ``onnx`` which operators it is; see ``help(nnlite.interop.onnx)``.

    Args:
        model: any Layer.
        path: of the file; no suffix is added.
        input_shape: the shape of one sample, without the batch axis: ``(8, 8)``, or 30 for 30 features. For several
            inputs a tuple of shapes, ``((8, 8), (30,))``, or a dict by name.
        opset: the version of ONNX's operators, from 13 on.
        float_masks: whether masks are numbers that are added to the scores of attention, such as 0 and -inf, in the
            model's dtype; by default they are booleans.

    Raises:
        ValueError: layers have no ``onnx``, or an operator that is not in the opset. All are listed with their places,
            and nothing is written.
        TypeError, ShapeError: ``input_shape`` has no whole numbers of at least 0, or the model rejects this shape.
        ImportError: the package onnx is not installed; it is the extra ``onnx``.
        FileNotFoundError, IsADirectoryError, OSError: as :func:`nnlite.save`.

    Options such as the slope of LeakyReLU are float32 in ONNX, also in a model of float64. For float64 onnxruntime does
    not implement InstanceNormalization, LRN, the Erf of GELU, RNN, LSTM and GRU, and for opsets other than 18 not all
    activations.

    >>> import os, tempfile, onnxruntime, numpy as np, nnlite as nn
    >>> model = nn.Sequential(nn.Linear(30, 16, rng=0), nn.Tanh(), nn.Linear(16, 1, rng=1))
    >>> X = np.ones((5, 30), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.onnx")
    ...     to_onnx(model, path, 30)
    ...     (Y,) = onnxruntime.InferenceSession(path).run(None, {"X": X})
    >>> np.allclose(Y, model.forward(X))
    True
    """
    _check_package()
    from nnlite.interop.onnx.writing_onnx import content_of

    content = content_of(model, input_shape, opset, float_masks)
    with atomic_write(path) as file:
        file.write(content)


def from_onnx(source: Any) -> Layer:
    """Read an ONNX file as a trainable model: a Sequential if it is a chain of layers, else a Graph.

    Operators become the layers that :func:`nnlite.to_onnx` writes them for: Gemm, and MatMul with Add behind it, a
    Linear, BatchNormalization a BatchNorm, Gather an Embedding, LSTM one layer of an LSTM. Other floating initializers
    become parameters, and the values of Constant nodes constants. So files of PyTorch's exporters, that of
    ``torch.export`` and that of TorchScript, can be read and trained further. In files of other programs single numbers
    among the initializers are constants, too, since PyTorch writes them there. What a file computes of sizes that are
    known, such as the ends of a slice, is a constant.

    Conditions become numbers, 1 and 0, as :class:`nnlite.Greater` and :class:`nnlite.GreaterEqual` give them: ``a * b``
    for And, ``1 - a`` for Not; a file's Where is :class:`nnlite.Where`.

    Whatever :func:`nnlite.to_onnx` writes can be read again. Layers that are several operators in ONNX, such as an
    AdaptiveAvgPool with windows of several sizes, become these operators in a Graph.

    The model is in training mode, as every new one; ``model.eval()`` or :func:`nnlite.predict` compute what the file
    does. Its dtype is that of the initializers: float64 if there are such, else float32.

    Only the file itself is read. It is checked as a whole before anything is made of it, and cannot run code.

    Args:
        source: the path of the file, its bytes, or an ``onnx.ModelProto``.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        CheckpointError: the file is damaged, contradicts itself, keeps its numbers in other files, or has operators
            that are not supported, which are all listed with their names.
        ImportError: the package onnx is not installed; it is the extra ``onnx``.

    >>> from onnx import parser
    >>> model = from_onnx(parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
    ...     example (float[batch, 2] x) => (float[batch, 1] y) <float[1, 2] W = {3, 4}, float[1] b = {5}> {
    ...         z = Gemm<transB = 1>(x, W, b)
    ...         y = Tanh(z)
    ...     }'''))
    >>> model
    Sequential(
      (0): Linear(2 -> 1)
      (1): Tanh()
    )
    >>> model[0].W
    array([[3.],
           [4.]], dtype=float32)
    """
    _check_package()
    from nnlite.interop.onnx.reading_onnx import model_of

    return model_of(source)


def _check_package() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"nnlite: the package onnx cannot be imported: {error}; install nnlite's extra 'onnx'"
        ) from None
