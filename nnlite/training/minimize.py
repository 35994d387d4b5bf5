"""minimize: train on all rows at once, by a method of SciPy such as L-BFGS."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnlite.basics.checks import finite, non_negative, number, one_of, whole
from nnlite.layer.layer import Layer, check_layer
from nnlite.optim.bounds import bounds_over_Phi
from nnlite.optim.by_name import ByName, option
from nnlite.training.descent import Descent, Ended
from nnlite.training.evaluate import as_loss
from nnlite.training.feature_names import note_feature_names
from nnlite.training.float64_twin import in_float64
from nnlite.training.history import History
from nnlite.training.prepare import prepare
from nnlite.training.progress import progress
from nnlite.training.session import note_history, session
from nnlite.training.shape_advice import noting_shapes
from nnlite.training.training_state import Training
from nnlite.training.update_bn import with_statistics

METHODS = ("L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP", "trust-constr", "Newton-CG", "trust-ncg", "trust-krylov")
WITH_BOUNDS = ("L-BFGS-B", "TNC", "SLSQP", "trust-constr")
WITH_HESSIAN = ("trust-constr", "Newton-CG", "trust-ncg", "trust-krylov")
OWN_ARGUMENTS = ("fun", "x0", "args", "jac", "hess", "hessp", "bounds", "constraints", "callback")  # not options
MANY = 2**31 - 1  # iterations and evaluations: SciPy's own limits do not count, since epochs is one
CURES = ("smaller initial weights", "weight_decay=1e-4", 'bounds=(-10, 10) with method="L-BFGS-B"')


def minimize(
    model: Layer,
    X: Any,
    Y: Any = None,
    *,
    loss: Any,
    method: str = "L-BFGS-B",
    epochs: int = 1000,
    bounds: Any = None,
    weight_decay: float | Mapping[str, float] = 0.0,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    metrics: Any = (),
    callbacks: Sequence[Any] = (),
    sample_weight: Any = None,
    class_weight: Any = None,
    resume: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> History:
    """Train a model on all rows at once, by a method of ``scipy.optimize.minimize`` that uses gradients.

    The loss of all rows, with the penalty ``sum(weight_decay / 2 Phi^2)``, is minimized as a function of Phi. On small
    networks and thousands of rows L-BFGS often reaches a lower training loss than SGD in the same time. It is also what
    PyTorch's ``LBFGS`` is for, an optimizer with a closure, which does not exist here.

    SciPy computes in float64, and so does the model while it is trained: another one is copied to float64, which is the
    ``state.model`` of callbacks, and the result is written back at the end. Arrays that SciPy gets are copies. Each
    evaluation begins with the random generators of the model as they were, so that Dropout drops the same elements
    each time, and the loss is a function of Phi. Buffers change at the end of an iteration only. The running statistics
    of BatchNorm are then computed anew, as by :func:`nnlite.update_bn` with all rows in one batch: one more forward for
    each iteration. So validation, callbacks and ``predict`` use the statistics that belong to the parameters.
    Parameters of the loss are not trained.

    Args:
        model: any Layer with parameters. It trains in training mode; its mode is restored at the end.
        X: the rows, as of :func:`nnlite.fit`, but no batches.
        Y: their targets.
        loss: as of :func:`nnlite.fit`.
        method: "L-BFGS-B", "CG", "TNC" or "trust-constr"; "BFGS" or "SLSQP", which keep a matrix of all pairs of
            parameters, for small models; or "Newton-CG", "trust-ncg" or "trust-krylov", which use products of vectors
            with the Hessian. These are central differences of gradients, and also used by "trust-constr".
        epochs: the largest number of iterations, each of which is an epoch of the history and of callbacks.
        bounds: a pair (low, high) for all parameters, where None is no limit; or a dict of pairs by names, as
            ``{"W": (0, None)}``, see :class:`nnlite.Optimizer`. Parameters outside are first moved to the bound.
            Bounds are rounded inward to the dtype of the model, and kept at the end of each iteration. For the methods
            "L-BFGS-B", "TNC", "SLSQP" and "trust-constr".
        weight_decay: factor of the penalty; or a dict of factors by names of parameters, such as ``{"W": 1e-4}``.
        tol: how exact the minimum is to be, a number >= 0; see ``scipy.optimize.minimize``.
        options: of the method, such as ``{"gtol": 1e-6}``. Its limits of iterations and evaluations do not count unless
            they are given here.
        validation_data: as of :func:`nnlite.fit`.
        validation_split: likewise.
        metrics: likewise.
        callbacks: as of :func:`nnlite.fit`. ``on_backward_end`` comes at the beginning of an iteration, with the
            gradient of the last one; a callback that changes the gradient or the parameters is an error.
        sample_weight: as of :func:`nnlite.fit`.
        class_weight: likewise.
        resume: a file that :class:`nnlite.Checkpoint` wrote. Parameters, history and callbacks go on from there; what
            the method has learnt of the curvature is not in the file, so that the path differs from one without a
            break.
        verbose: as of :func:`nnlite.fit`.

    Returns:
        The history: for each iteration the series of :func:`nnlite.fit`, of the parameters at its end; with a weight
        decay also "penalty", which "loss" does not include. ``history.remark`` is why the method ended, and
        ``history.converged`` whether by its tolerances.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it; or a tied layer uses a BatchNorm a second
            time. Nothing is trained then.
        DivergenceError: the loss or a gradient is NaN or infinite where the method tries it. The model is as it was at
            the end of the last iteration.
        KeyboardInterrupt: on Ctrl-C, after the current evaluation; SIGTERM likewise ends in SystemExit(143). The model
            is as it was at the end of the last iteration.
        FileNotFoundError, CheckpointError: there is no file to resume from, or it is damaged.

    Sources: Byrd, Lu, Nocedal and Zhu, A limited memory algorithm for bound constrained optimization, 1995; Nocedal and
    Wright, Numerical optimization, 2006.

    >>> import nnlite as nn
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> Y = np.array([[0], [1], [1], [0]])
    >>> model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1), nn.Sigmoid())
    >>> history = minimize(model, X, Y, loss=nn.BCELoss(), epochs=50, verbose=0)
    >>> history["loss"][-1] < 0.001
    True
    """
    check_layer(model, "model")
    if not model.Phi.size:
        raise ValueError(f"model: {model.one_line()} has no parameters")
    with_statistics(model, "minimize", "fit")  # which refuses those that cannot be computed anew
    epochs, loss = whole(epochs, "epochs", least=0), as_loss(loss)
    limits = _checked_bounds(model, bounds, method)
    decay = _decay(model, weight_decay)
    if tol is not None:
        non_negative(tol, "tol")
    own_options = _checked_options(model, options, method)
    state: Training
    with in_float64(model, loss) as (own, own_loss):
        state, events, validation = prepare(
            own,
            X,
            Y,
            loss=own_loss,
            optimizers=lambda loss: [],
            epochs=epochs,
            batch_size=None,
            shuffle=True,
            validation_data=validation_data,
            validation_split=validation_split,
            metrics=metrics,
            callbacks=callbacks,
            sample_weight=sample_weight,
            class_weight=class_weight,
            resume=resume,
            rng=None,
            step={"on_backward_end": (), "where": lambda: f"epoch {max(state.epoch, 1)}", "cures": CURES},
            compared={"method": method, "bounds": bounds, "weight_decay": weight_decay, "tol": tol, "options": options},
        )
        shown = progress(state.epochs, 1, verbose, done=(state.epoch, 0))
        for each in (model, own):
            note_feature_names(each, state.rows)
        try:
            with noting_shapes(state.rows, own), session(state, events, shown) as interrupts:
                if limits is not None:
                    own.Phi = np.clip(own.Phi, *limits)
                descent = Descent(state, events, validation, shown, interrupts, decay, limits)
                if state.epoch < state.epochs and not state.stop:
                    with descent.leaving_the_last_iteration():
                        descent(own.Phi.copy())
                        descent.begin_iteration()
                        if not state.stop:
                            _run(descent, method, limits, tol, own_options)
        except BaseException as error:
            if (afterwards := note_history(error, state)) and isinstance(error, Exception):
                error.add_note(afterwards)
            raise
    return state.history


def _run(descent: Descent, method: str, limits: Any, tol: float | None, options: dict[str, Any]) -> None:
    """Let SciPy's method minimize; at the end the model is as after the last iteration."""
    from scipy.optimize import Bounds
    from scipy.optimize import minimize as minimize_with_scipy

    state = descent.state
    state.history.converged = False
    try:
        result = minimize_with_scipy(
            descent,
            descent.at.copy(),
            jac=True,
            method=method,
            hessp=descent.product if method in WITH_HESSIAN else None,
            bounds=None if limits is None else Bounds(*limits),
            tol=tol,
            options=options,
            callback=descent.end_iteration,
        )
        moved = not np.array_equal(descent.within(result.x), descent.kept)
        if moved and result.fun < descent.kept_value:  # a method may end within an iteration
            descent.end_iteration(result.x)
        message, state.history.converged = str(result.message).strip(), bool(result.get("success"))
    except Ended as ended:
        message = str(ended)
    descent.put_back()
    if not message and descent.interrupts.received and not state.stop:
        state.interrupted = True
        state.remarks.append(f"interrupted {state.done()}")
    elif message:
        state.remarks.append(f"stopped {state.done()}: {message}")
    state.stop = True
    descent.events.call("on_save")


def _checked_bounds(model: Layer, bounds: Any, method: str) -> Any:
    """The lower and upper bounds over Phi; None if there are none.

    Raises:
        TypeError, ValueError: the bounds or the method are wrong, or they do not go together.
    """
    try:
        one_of(method, "method", METHODS)
    except ValueError as error:
        error.add_note("methods without gradients, or with the whole matrix of second derivatives, are too slow here")
        raise
    if bounds is None:
        return None
    if method not in WITH_BOUNDS:
        raise ValueError(f'bounds: the method "{method}" has none; use one of {", ".join(WITH_BOUNDS)}')
    return bounds_over_Phi(model, bounds, "bounds")


def _checked_options(model: Layer, options: Mapping[str, Any] | None, method: str) -> dict[str, Any]:
    """The options of the method, with limits of iterations and evaluations that do not count.

    Raises:
        TypeError, ValueError: they are no mapping, or the method does not accept them.
    """
    limits = {"TNC": {"maxfun": MANY}, "L-BFGS-B": {"maxiter": MANY, "maxfun": MANY}}.get(method, {"maxiter": MANY})
    if options is None:
        return limits
    if not isinstance(options, Mapping):
        raise TypeError(f'options: expected a dict by names, such as {{"gtol": 1e-6}}, got {options!r}')
    for name, value in options.items():
        if name in OWN_ARGUMENTS:
            raise ValueError(f"options: {name!r} is no option of the method but set by minimize; leave it out")
        if str(name).endswith("tol"):  # the defaults of TNC are negative
            (finite if method == "TNC" else non_negative)(value, f"options[{name!r}]")
        elif str(name).startswith("max") and value is not None:
            number(value, f"options[{name!r}]")
    checked = limits | dict(options)
    _try_out(checked, model.Phi.size, method)
    return checked


def _try_out(options: dict[str, Any], size: int, method: str) -> None:
    """Call the method with the options up to the first evaluation of the function, before which it checks their names.

    Raises:
        ValueError: it does not accept them.
    """
    from scipy.optimize import OptimizeWarning
    from scipy.optimize import minimize as minimize_with_scipy

    def stop(*_: Any) -> Any:
        raise Ended

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", OptimizeWarning)
            minimize_with_scipy(stop, np.zeros(size), jac=True, method=method, hessp=stop, options=options)
    except Ended:
        pass
    except (TypeError, ValueError, OptimizeWarning) as error:
        raise ValueError(
            f'options: the method "{method}" does not accept them: {error}; its options are listed by '
            f'scipy.optimize.show_options("minimize", "{method.lower()}")'
        ) from None


def _decay(model: Layer, weight_decay: float | Mapping[str, float]) -> list[tuple[slice, float]]:
    """(slice of Phi, weight decay) of each part that has one."""
    runs: list[tuple[slice, float]]
    if isinstance(weight_decay, Mapping):
        runs = ByName(model, weight_decay, 0.0, "weight_decay").runs
    else:
        runs = [(slice(None), float(option(weight_decay, "weight_decay")))]  # type: ignore[arg-type]
    return [(part, factor) for part, factor in runs if factor]
