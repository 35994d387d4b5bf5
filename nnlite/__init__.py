"""Neural networks of explicit layers on NumPy: each layer is a forward and a backward; no tape, no autograd.

>>> import numpy as np, nnlite as nn
>>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
>>> Y = model.forward(np.ones((4, 2)))
>>> dX = model.backward(np.ones((4, 3)))
>>> model.Phi -= 0.1 * model.dPhi

The public names by theme; ``help(nnlite.Linear)`` and so on show formula, arguments, errors, sources and an example.

Layers
    Linear                               Y = X W + b, over any leading axes
    Tanh, Sigmoid, ReLU, Identity        activations
    LeakyReLU, PReLU, RReLU              the identity above 0, a slope below
    ELU, CELU, SELU                      the identity above 0, an exponential below
    GELU, SiLU, Mish                     X times a smooth step
    Softplus, LogSigmoid, Softsign       smooth activations
    Hardtanh, ReLU6, Threshold           activations of straight pieces
    Hardsigmoid, Hardswish               likewise
    Tanhshrink, Softshrink, Hardshrink   activations that make small numbers smaller, or 0
    GLU                                  one half of X times the sigmoid of the other half
    Dropout, AlphaDropout                in training mode random elements are dropped
    Dropout1d, Dropout2d, Dropout3d      likewise, of whole channels
    FeatureAlphaDropout                  likewise
    Softmax, LogSoftmax                  activations along an axis
    Softmin, Softmax2d                   likewise; of -X, and over the channels of images
    Add, Subtract, Multiply, Divide      elementwise arithmetic of two inputs, with broadcasting
    Power, Maximum, Minimum              likewise
    Where                                X where a condition is true, else Y
    Greater, GreaterEqual, Equal         comparisons, as numbers 1 and 0
    Negative, Exp, Log, Square           elementwise functions of one input
    Sqrt, Reciprocal, Abs, Sign          likewise
    Embedding, EmbeddingBag              a vector for each index; the sum, mean or maximum of several
    RNN, LSTM, GRU                       recurrences over the steps of sequences, in one direction or both
    RNNCell, LSTMCell, GRUCell           one step of them
    MultiheadAttention                   attention of several heads, to itself or to other sequences
    ScaledDotProductAttention            attention without parameters
    PositionalEncoding, RotaryEmbedding  where in the sequence a step is
    padding_mask                         True at the padding of sequences of these lengths
    Dot, Outer, MatMul                   products of vectors and matrices
    Bilinear                             Y_k = x1^T W_k x2 + b_k, of two inputs
    Conv1d, Conv2d, Conv3d               convolution of signals, images and volumes
    ConvTranspose1d, ConvTranspose2d     the transpose of one, which makes images larger
    ConvTranspose3d                      likewise
    MaxPool1d, MaxPool2d, MaxPool3d      the largest entry of each window
    AvgPool1d, AvgPool2d, AvgPool3d      its mean
    AdaptiveAvgPool1d, AdaptiveAvgPool2d  the mean of each of as many windows as asked for, whatever the size of X
    AdaptiveAvgPool3d                    likewise
    AdaptiveMaxPool1d, AdaptiveMaxPool2d  likewise, the largest entry
    AdaptiveMaxPool3d                    likewise
    MaxUnpool1d, MaxUnpool2d, MaxUnpool3d  maxima put back where they were
    LPPool1d, LPPool2d, LPPool3d         the p-norm of each window
    Unfold, Fold                         windows as columns, and their sum
    ConstantPad1d, ConstantPad2d         a number added at both ends of spatial axes
    ConstantPad3d                        likewise
    ZeroPad1d, ZeroPad2d, ZeroPad3d      zeros
    ReflectionPad1d, ReflectionPad2d     the entries of X mirrored at its edge
    ReflectionPad3d                      likewise
    ReplicationPad1d, ReplicationPad2d   the edge itself
    ReplicationPad3d                     likewise
    CircularPad1d, CircularPad2d         the entries of the other end
    CircularPad3d                        likewise
    Upsample                             spatial axes of another size, by interpolation
    PixelShuffle, PixelUnshuffle         numbers from channels to larger images, and back
    ChannelShuffle                       mix the channels of groups
    CosineSimilarity, PairwiseDistance   of the vectors of two inputs
    Sum, Mean, Max, Min                  reductions over axes
    Concat, Stack, Split                 join arrays, and cut one
    Reshape, Flatten, Unflatten          change the shape of one array
    Transpose                            swap two of its axes
    Select, Slice                        one entry of an axis, and a slice of it
    BatchNorm1d, BatchNorm2d             normalization of each channel over the batch
    BatchNorm3d                          likewise
    InstanceNorm1d, InstanceNorm2d       normalization of each channel of each sample
    InstanceNorm3d, GroupNorm            likewise; of groups of channels
    LayerNorm, RMSNorm                   normalization of each sample, over its last axes
    LocalResponseNorm                    normalization by neighbouring channels
    Layer                                the base class: parameters, buffers, Phi, dPhi, state_dict

Containers, which are layers
    Sequential                           a chain of layers
    Residual, Parallel                   a skip connection; branches on the same input
    Graph, Input, Parameter              any acyclic graph of layers, its inputs, and a free parameter
    tied                                 a second use of the parameters of a layer
    unrolled                             a recurrent layer as a graph of cells, to look into
    TransformerEncoderLayer              self-attention, then a network for each step
    TransformerDecoderLayer              likewise, with attention to a memory between them
    TransformerEncoder                   several of the former, one after another
    TransformerDecoder                   several of the latter
    Transformer                          an encoder and a decoder
    checkpointed                         less memory for more time: forward runs again in backward
    Stateful                             a recurrent layer that carries its state over the pieces of long sequences
    carry_state, reset_state             let a model with such layers go on from its states, or start anew

Losses, which are layers
    MSELoss, L1Loss                      squared error, absolute error
    SmoothL1Loss, HuberLoss              squared error of small errors, absolute error of large ones
    BCELoss, BCEWithLogitsLoss           binary cross-entropy of probabilities, and of logits
    CrossEntropyLoss                     cross-entropy of class logits
    NLLLoss, KLDivLoss                   likelihood of classes and divergence of distributions, of log-probabilities
    PoissonNLLLoss, GaussianNLLLoss      likelihood of counts, and of numbers with a mean and a variance
    SoftMarginLoss, HingeEmbeddingLoss   margins of two classes coded as -1 and 1
    MultiMarginLoss                      margins of several classes
    MultiLabelMarginLoss                 margins of several labels of each sample
    MultiLabelSoftMarginLoss             binary cross-entropy of several labels
    CTCLoss                              sequences without an alignment
    MarginRankingLoss                    order of two scores
    CosineEmbeddingLoss                  two embeddings, similar or not
    TripletMarginLoss                    an embedding, one that is similar and one that is not
    TripletMarginWithDistanceLoss        likewise, with a distance layer of your own
    Loss                                 the base class

Initializers and random numbers
    initializers                         for ``weight_init=``; see ``help(nnlite.initializers)``
    manual_seed                          seed everything that is given no ``rng=``
    generator                            the default generator, or one of a seed, for a layer of your own

Optimizers
    SGD                                  with momentum, Nesterov momentum and weight decay
    Adam, AdamW                          with averages of the gradient and of its square; with decoupled weight decay
    Adamax, NAdam, RAdam                 variants of Adam: infinity norm, Nesterov momentum, rectified
    Adagrad, Adadelta, RMSprop           gradients scaled by sums or averages of squares
    Adafactor                            likewise, of rows and columns: little state for large matrices
    ASGD                                 steps that fall, and the average of the parameters along the path
    Lion, Rprop                          descent along signs of gradients
    Optimizer                            the base class
    ConstantLR, LinearLR, PolynomialLR   learning-rate schedules, for ``lr=``
    StepLR, MultiStepLR, ExponentialLR   likewise
    CosineAnnealingLR, OneCycleLR        likewise
    CosineAnnealingWarmRestarts          likewise, again and again
    CyclicLR                             likewise
    SequentialLR, PerEpoch               one schedule after another; a schedule that counts epochs
    Warmup                               a schedule with smaller learning rates at first
    ReduceLROnPlateau                    a callback that lowers lr when a value stops improving
    clip_grad_norm, clip_grad_value      clip dPhi

Training
    fit, evaluate, predict               train a model, measure it, use it
    pad_sequence, Sequences              sequences of different lengths: in one array, and as rows for ``fit``
    Pieces                               long sequences in pieces, for truncated backpropagation through time
    compile                              a step of a tiny network in straight-line NumPy: half the time, the same bits
    minimize                             train on all rows at once, by SciPy's L-BFGS, Newton and other methods
    History                              the values of each epoch, returned by ``fit``
    EarlyStopping, Checkpoint            callbacks: stop in time; save all that ``fit(resume=)`` needs
    CSVLogger, LearningRateLogger        callbacks that record values
    WeightAverage                        a callback that averages the weights: EMA and SWA
    update_bn                            compute the running statistics of BatchNorm anew
    exercises                            layers to fill in, with hints, and bugs to find
    datasets                             small problems and real data, as arrays with names
    parallel                             many trainings at a time: ``parallel.map``
    lr_finder                            find a learning rate: the loss while the rate rises
    Diagnostics                          a callback that records gradients, updates and activations of each layer
    DataParallel                         a callback: one training in several processes, through MPI
    Callback                             the base class

Metrics
    accuracy, binary_accuracy            of classes; of two classes
    precision, recall, f1, roc_auc       of an imbalanced classification
    confusion_matrix, r2                 counts of classes; explained variance of a regression
    perplexity                           of a language model
    mean_over_batches                    mark a metric that is a mean over batches

Files
    save, load                           a model, or a state_dict, in one file
    register                             let a layer class of your own be saved with its model

Formats of other programs; :func:`save` and :func:`load` read and write safetensors files
    from_torch, to_torch                 load the weights of a PyTorch module, and give them back
    to_c                                 a network as a header of C, with a training step
    to_numpy                             a network, and its training, as a program in NumPy alone
    from_onnx, to_onnx                   read an ONNX file as a trainable model, and write one

Estimators of scikit-learn are in ``nnlite.interop.sklearn``; see ``help("nnlite.interop.sklearn")``.

Diagnostics
    check_gradients                      compare backward with numerical differences; name what is wrong
    sanity                               ten checks of data, loss, gradients and activations before training
    explain                              the derivation of a model, as text and as LaTeX
    forward_steps, backward_steps        run a model one layer at a time
    play                                 a page on which a model runs forward and backward, operation by operation
    plot                                 decision boundaries, images, histories, loss surfaces: one line each
    draw, to_mermaid, to_dot             the computational graph: a figure, Markdown, Graphviz
    summary                              layers, output shapes, numbers of parameters
    profile                              time, operations and bytes of each layer
    jacobian, input_gradient             derivatives of outputs by inputs and parameters
    per_sample_gradients                 the gradient of each sample
    per_sample_gradient_norms            their norms only

The rest
    set_blas                             choose the library that multiplies matrices
    set_kernels                          choose how elementwise formulas are computed: NumPy, or loops by Numba
    kernel                               make an elementwise formula of your own fast
    ShapeError, StateError               an array of the wrong shape; backward before forward
    CheckpointError                      a file is damaged or does not fit
    DivergenceError                      the loss became NaN or infinite
    GradientError                        backward is not the derivative of forward
"""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from nnlite.layer.layer import Layer
from nnlite.saving.registry import register

# The module of each public name. __init__.pyi has them as imports, which type checkers and editors read.
_STUB = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
_MODULE_OF = {name: module for module, name in re.findall(r"^from (\S+) import (\w+) as \2$", _STUB, re.MULTILINE)}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:  # called for a name that is used for the first time
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nnlite' has no attribute {name!r}")
    module = _MODULE_OF[name]
    value = import_module(f"nnlite.{name}") if module == "nnlite" else getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


__getattr__("set_kernels")  # now, since its module reads the environment variable NNLITE_KERNELS

# What can be saved is imported now, so that a file may name it; all else later: it would double the import time.
for _name, _module in _MODULE_OF.items():
    if _module.startswith(("nnlite.layers.", "nnlite.containers.", "nnlite.losses.")):
        _value = __getattr__(_name)
        if isinstance(_value, type) and issubclass(_value, Layer):
            register(_value)
