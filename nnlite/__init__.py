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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnlite import initializers
from nnlite.basics.generators import generator, manual_seed
from nnlite.compute.blas import set_blas
from nnlite.compute.kernel import kernel
from nnlite.compute.set_kernels import set_kernels
from nnlite.containers.branches import Parallel, Residual
from nnlite.containers.checkpointed import checkpointed
from nnlite.containers.graph import Graph
from nnlite.containers.nodes import Input, Parameter
from nnlite.containers.sequential import Sequential
from nnlite.containers.stateful import Stateful, carry_state, reset_state
from nnlite.containers.tied import tied
from nnlite.containers.transformer import Transformer, TransformerDecoder, TransformerEncoder
from nnlite.containers.transformer_layers import TransformerDecoderLayer, TransformerEncoderLayer
from nnlite.containers.unrolled import unrolled
from nnlite.errors import CheckpointError, DivergenceError, GradientError, ShapeError, StateError
from nnlite.layer.layer import Layer
from nnlite.layers.activations import Identity, LogSoftmax, ReLU, Sigmoid, Softmax, Softmax2d, Softmin, Tanh
from nnlite.layers.adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from nnlite.layers.arithmetic import Add, Divide, Maximum, Minimum, Multiply, Power, Subtract
from nnlite.layers.arrangement import Concat, Split, Stack, Transpose
from nnlite.layers.attention import ScaledDotProductAttention
from nnlite.layers.attention_masks import padding_mask
from nnlite.layers.average_pooling import AvgPool1d, AvgPool2d, AvgPool3d
from nnlite.layers.batch_normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from nnlite.layers.bilinear import Bilinear
from nnlite.layers.conditions import Equal, Greater, GreaterEqual, Where
from nnlite.layers.convolution import Conv1d, Conv2d, Conv3d
from nnlite.layers.distances import CosineSimilarity, PairwiseDistance
from nnlite.layers.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from nnlite.layers.elementwise import Abs, Exp, Log, Negative, Reciprocal, Sign, Sqrt, Square
from nnlite.layers.embedding import Embedding
from nnlite.layers.embedding_bag import EmbeddingBag
from nnlite.layers.folding import Fold, Unfold
from nnlite.layers.gru import GRU, GRUCell
from nnlite.layers.indexing import Select, Slice
from nnlite.layers.linear import Linear
from nnlite.layers.local_response_normalization import LocalResponseNorm
from nnlite.layers.lstm import LSTM, LSTMCell
from nnlite.layers.max_pooling import MaxPool1d, MaxPool2d, MaxPool3d
from nnlite.layers.multihead_attention import MultiheadAttention
from nnlite.layers.norm_pooling import LPPool1d, LPPool2d, LPPool3d
from nnlite.layers.normalization import LayerNorm, RMSNorm
from nnlite.layers.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from nnlite.layers.piecewise_linear import Hardsigmoid, Hardswish, Hardtanh, ReLU6, Threshold
from nnlite.layers.pixel_shuffle import ChannelShuffle, PixelShuffle, PixelUnshuffle
from nnlite.layers.positions import PositionalEncoding, RotaryEmbedding
from nnlite.layers.products import Dot, MatMul, Outer
from nnlite.layers.rectifiers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU
from nnlite.layers.reductions import Max, Mean, Min, Sum
from nnlite.layers.reshaping import Flatten, Reshape, Unflatten
from nnlite.layers.rnn import RNN, RNNCell
from nnlite.layers.shrinkage import Hardshrink, Softshrink, Tanhshrink
from nnlite.layers.smooth_activations import GELU, GLU, LogSigmoid, Mish, SiLU, Softplus, Softsign
from nnlite.layers.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nnlite.layers.unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from nnlite.layers.upsample import Upsample
from nnlite.losses.binary_cross_entropy import BCELoss, BCEWithLogitsLoss
from nnlite.losses.cross_entropy import CrossEntropyLoss
from nnlite.losses.ctc_loss import CTCLoss
from nnlite.losses.likelihood_losses import GaussianNLLLoss, KLDivLoss, NLLLoss, PoissonNLLLoss
from nnlite.losses.loss import Loss
from nnlite.losses.margin_losses import HingeEmbeddingLoss, MultiMarginLoss, SoftMarginLoss
from nnlite.losses.multi_label_losses import MultiLabelMarginLoss, MultiLabelSoftMarginLoss
from nnlite.losses.ranking_losses import CosineEmbeddingLoss, MarginRankingLoss
from nnlite.losses.regression_losses import HuberLoss, L1Loss, MSELoss, SmoothL1Loss
from nnlite.losses.triplet_losses import TripletMarginLoss, TripletMarginWithDistanceLoss
from nnlite.optim.clipping import clip_grad_norm, clip_grad_value
from nnlite.optim.optimizer import Optimizer
from nnlite.optim.sgd import SGD
from nnlite.saving.registry import register
from nnlite.training.callbacks import Callback
from nnlite.training.checkpoint import Checkpoint
from nnlite.training.early_stopping import EarlyStopping
from nnlite.training.evaluate import evaluate
from nnlite.training.fit import fit
from nnlite.training.history import History
from nnlite.training.loggers import CSVLogger, LearningRateLogger
from nnlite.training.metrics.accuracy import accuracy, binary_accuracy
from nnlite.training.metrics.classification import confusion_matrix, f1, precision, recall
from nnlite.training.metrics.mean_over_batches import mean_over_batches
from nnlite.training.metrics.perplexity import perplexity
from nnlite.training.metrics.ranking import roc_auc
from nnlite.training.metrics.regression import r2
from nnlite.training.predict import predict
from nnlite.training.sequences import Pieces, Sequences, pad_sequence

if TYPE_CHECKING:
    from nnlite import datasets, exercises, parallel, plot
    from nnlite.diagnostics.check_gradients import check_gradients
    from nnlite.diagnostics.draw import draw
    from nnlite.diagnostics.explain import explain
    from nnlite.diagnostics.graph_text import to_dot, to_mermaid
    from nnlite.diagnostics.jacobian import input_gradient, jacobian
    from nnlite.diagnostics.per_sample import per_sample_gradient_norms, per_sample_gradients
    from nnlite.diagnostics.play.player import play
    from nnlite.diagnostics.profile import profile
    from nnlite.diagnostics.sanity import sanity
    from nnlite.diagnostics.steps import backward_steps, forward_steps
    from nnlite.diagnostics.summary import summary
    from nnlite.interop.c_program.to_c import to_c
    from nnlite.interop.numpy_program.to_numpy import to_numpy
    from nnlite.interop.onnx import from_onnx, to_onnx
    from nnlite.interop.torch_weights.from_and_to_torch import from_torch, to_torch
    from nnlite.optim.adadelta import Adadelta
    from nnlite.optim.adafactor import Adafactor
    from nnlite.optim.adagrad import Adagrad
    from nnlite.optim.adam import Adam
    from nnlite.optim.adamax import Adamax
    from nnlite.optim.adamw import AdamW
    from nnlite.optim.asgd import ASGD
    from nnlite.optim.cyclic_schedules import CosineAnnealingWarmRestarts, CyclicLR
    from nnlite.optim.lion import Lion
    from nnlite.optim.nadam import NAdam
    from nnlite.optim.per_epoch import PerEpoch
    from nnlite.optim.phased_schedules import OneCycleLR, SequentialLR
    from nnlite.optim.plateau import ReduceLROnPlateau
    from nnlite.optim.radam import RAdam
    from nnlite.optim.rmsprop import RMSprop
    from nnlite.optim.rprop import Rprop
    from nnlite.optim.schedules import (
        ConstantLR,
        CosineAnnealingLR,
        ExponentialLR,
        LinearLR,
        MultiStepLR,
        PolynomialLR,
        StepLR,
    )
    from nnlite.optim.warmup import Warmup
    from nnlite.parallel.data_parallel import DataParallel
    from nnlite.saving.files import load, save
    from nnlite.training.compile import compile
    from nnlite.training.diagnostics_callback import Diagnostics
    from nnlite.training.lr_finder import lr_finder
    from nnlite.training.minimize import minimize
    from nnlite.training.update_bn import update_bn
    from nnlite.training.weight_average import WeightAverage

__all__ = [
    "ASGD",
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "SGD",
    "Abs",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "Add",
    "AlphaDropout",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bilinear",
    "CSVLogger",
    "CTCLoss",
    "Callback",
    "ChannelShuffle",
    "Checkpoint",
    "CheckpointError",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "Concat",
    "ConstantLR",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "CyclicLR",
    "DataParallel",
    "Diagnostics",
    "DivergenceError",
    "Divide",
    "Dot",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "EarlyStopping",
    "Embedding",
    "EmbeddingBag",
    "Equal",
    "Exp",
    "ExponentialLR",
    "FeatureAlphaDropout",
    "Flatten",
    "Fold",
    "GRUCell",
    "GaussianNLLLoss",
    "GradientError",
    "Graph",
    "Greater",
    "GreaterEqual",
    "GroupNorm",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "History",
    "HuberLoss",
    "Identity",
    "Input",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KLDivLoss",
    "L1Loss",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTMCell",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LearningRateLogger",
    "Linear",
    "LinearLR",
    "Lion",
    "LocalResponseNorm",
    "Log",
    "LogSigmoid",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MatMul",
    "Max",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Maximum",
    "Mean",
    "Min",
    "Minimum",
    "Mish",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "MultiStepLR",
    "MultiheadAttention",
    "Multiply",
    "NAdam",
    "NLLLoss",
    "Negative",
    "OneCycleLR",
    "Optimizer",
    "Outer",
    "PReLU",
    "PairwiseDistance",
    "Parallel",
    "Parameter",
    "PerEpoch",
    "Pieces",
    "PixelShuffle",
    "PixelUnshuffle",
    "PoissonNLLLoss",
    "PolynomialLR",
    "PositionalEncoding",
    "Power",
    "RAdam",
    "RMSNorm",
    "RMSprop",
    "RNNCell",
    "RReLU",
    "ReLU",
    "ReLU6",
    "Reciprocal",
    "ReduceLROnPlateau",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Reshape",
    "Residual",
    "RotaryEmbedding",
    "Rprop",
    "ScaledDotProductAttention",
    "Select",
    "Sequences",
    "Sequential",
    "SequentialLR",
    "ShapeError",
    "SiLU",
    "Sigmoid",
    "Sign",
    "Slice",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Split",
    "Sqrt",
    "Square",
    "Stack",
    "StateError",
    "Stateful",
    "StepLR",
    "Subtract",
    "Sum",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Transpose",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "Unflatten",
    "Unfold",
    "Upsample",
    "Warmup",
    "WeightAverage",
    "Where",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "accuracy",
    "backward_steps",
    "binary_accuracy",
    "carry_state",
    "check_gradients",
    "checkpointed",
    "clip_grad_norm",
    "clip_grad_value",
    "compile",
    "confusion_matrix",
    "datasets",
    "draw",
    "evaluate",
    "exercises",
    "explain",
    "f1",
    "fit",
    "forward_steps",
    "from_onnx",
    "from_torch",
    "generator",
    "initializers",
    "input_gradient",
    "jacobian",
    "kernel",
    "load",
    "lr_finder",
    "manual_seed",
    "mean_over_batches",
    "minimize",
    "pad_sequence",
    "padding_mask",
    "parallel",
    "per_sample_gradient_norms",
    "per_sample_gradients",
    "perplexity",
    "play",
    "plot",
    "precision",
    "predict",
    "profile",
    "r2",
    "recall",
    "register",
    "reset_state",
    "roc_auc",
    "sanity",
    "save",
    "set_blas",
    "set_kernels",
    "summary",
    "tied",
    "to_c",
    "to_dot",
    "to_mermaid",
    "to_numpy",
    "to_onnx",
    "to_torch",
    "unrolled",
    "update_bn",
]

# Modules that are imported at first use; together they would take a third of the import time.
_LATER = {
    "diagnostics.draw": "draw",
    "diagnostics.explain": "explain",
    "diagnostics.check_gradients": "check_gradients",
    "diagnostics.jacobian": "input_gradient jacobian",
    "diagnostics.graph_text": "to_dot to_mermaid",
    "diagnostics.per_sample": "per_sample_gradient_norms per_sample_gradients",
    "diagnostics.play.player": "play",
    "diagnostics.profile": "profile",
    "diagnostics.sanity": "sanity",
    "diagnostics.steps": "backward_steps forward_steps",
    "diagnostics.summary": "summary",
    "interop.c_program.to_c": "to_c",
    "interop.numpy_program.to_numpy": "to_numpy",
    "interop.torch_weights.from_and_to_torch": "from_torch to_torch",
    "interop.onnx": "from_onnx to_onnx",
    "optim.adadelta": "Adadelta",
    "optim.adafactor": "Adafactor",
    "optim.adagrad": "Adagrad",
    "optim.adam": "Adam",
    "optim.adamax": "Adamax",
    "optim.adamw": "AdamW",
    "optim.asgd": "ASGD",
    "optim.cyclic_schedules": "CosineAnnealingWarmRestarts CyclicLR",
    "optim.lion": "Lion",
    "optim.nadam": "NAdam",
    "optim.per_epoch": "PerEpoch",
    "optim.plateau": "ReduceLROnPlateau",
    "optim.schedules": "ConstantLR CosineAnnealingLR ExponentialLR LinearLR MultiStepLR PolynomialLR StepLR",
    "optim.phased_schedules": "OneCycleLR SequentialLR",
    "optim.radam": "RAdam",
    "optim.rmsprop": "RMSprop",
    "optim.rprop": "Rprop",
    "optim.warmup": "Warmup",
    "parallel.data_parallel": "DataParallel",
    "saving.files": "load save",
    "training.compile": "compile",
    "training.diagnostics_callback": "Diagnostics",
    "training.lr_finder": "lr_finder",
    "training.minimize": "minimize",
    "training.update_bn": "update_bn",
    "training.weight_average": "WeightAverage",
}
for _layer in [value for value in globals().values() if isinstance(value, type) and issubclass(value, Layer)]:
    if _layer is not Layer:  # what is exported can be saved
        register(_layer)
del _layer

_ROOM_OF = {name: room for room, names in _LATER.items() for name in names.split()}
_ROOMS = ("datasets", "exercises", "parallel", "plot")  # modules that a user sees as such, likewise


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"nnlite.{name}")
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'nnlite' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"nnlite.{_ROOM_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
