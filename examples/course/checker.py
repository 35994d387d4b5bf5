"""Is the answer to an exercise right, and if not, which mistake explains it? In English, and in Spanish."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import nnlite as nn


class Text(NamedTuple):
    """A sentence in both languages."""

    en: str
    es: str


class Exercise(NamedTuple):
    """The right answer, or a function that judges one, and what wrong ones are, with what to think of then."""

    right: Any
    mistakes: list[tuple[Any, Text]]


RIGHT = Text("right", "correcto")
OPEN = Text("not answered yet: write your answer in place of ...", "sin respuesta: escríbela en lugar de ...")
WRONG = Text("not yet", "todavía no")
SHAPE = Text("not yet: expected {}, got {}", "todavía no: se esperaba {}, llegó {}")


def check(exercise: str, answer: Any) -> None:
    """Print whether the answer is right, or a hint."""
    print(f"{exercise}: {judged(exercise, answer).en}")


def comprobar(ejercicio: str, respuesta: Any) -> None:
    """Imprime si la respuesta es correcta, o una pista."""
    print(f"{ejercicio}: {judged(ejercicio, respuesta).es}")


def judged(name: str, answer: Any) -> Text:
    """What there is to say of the answer."""
    if name not in EXERCISES:
        raise ValueError(f"exercise: expected one of {', '.join(EXERCISES)}, got {name!r}")
    if answer is ...:
        return OPEN
    right, mistakes = EXERCISES[name]
    if callable(right):
        return right(answer)
    if described(answer) != described(right):
        return Text(*(each.format(described(right), described(answer)) for each in SHAPE))
    if same(answer, right):
        return RIGHT
    hints = [hint for wrong, hint in mistakes if described(wrong) == described(answer) and same(answer, wrong)]
    return Text(*(f"{before}: {hint}" for before, hint in zip(WRONG, hints[0], strict=True))) if hints else WRONG


def described(value: Any) -> str:
    """The shapes of an answer, without its values."""
    if isinstance(value, tuple):
        return f"({', '.join(map(described, value))})"
    shape = np.shape(value)
    return f"an array {shape}" if shape else "a number"


def same(one: Any, other: Any) -> bool:
    """Whether two answers of the same shapes are equal to three digits."""
    if isinstance(one, tuple):
        return all(map(same, one, other))
    return bool(np.allclose(one, other, rtol=2e-3, atol=1e-9))


# 0: the linear layer. The numbers of the page.
W, X2 = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[0.5, -1], [2, 1]])
dY1, dY2 = np.array([[10.0, 20, 30]]), np.array([[10.0, 20, 30], [1, 1, 1]])

# 2: predictions and targets of three samples.
y_hat, y = np.array([[0.9], [0.2], [0.6]]), np.array([[1.0], [0], [0]])

# 3: a softmax, and what comes back to it.
A = np.array([[0.0, 1, 2], [1, 1, 0]])
dP = np.array([[1.0, 0, 0], [0, 2, 0]])
P = np.exp(A) / np.exp(A).sum(axis=1, keepdims=True)

# 4: an outer product.
x, t, dZ = np.array([1.0, -1]), np.array([2.0, 0, 1]), np.array([[1.0, 2, 3], [4, 5, 6]])


def gradients_by_hand(answer: Callable[..., Any]) -> Text:
    """Judge a function of X, y and the six parameters that returns dW1, db1, dW2, db2, dU, dc (exercise 2.3)."""
    rng = np.random.default_rng(0)
    X, target = rng.normal(size=(5, 3)), np.array([[1], [0], [1], [1], [0]])
    layers = [nn.Linear(*sizes, dtype=np.float64, rng=rng) for sizes in [(3, 4), (4, 2), (2, 1)]]
    model = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Sigmoid(), layers[2], nn.Sigmoid())
    model.Phi += rng.normal(size=model.Phi.size) * 0.3
    loss = nn.BCELoss()
    loss.forward(model.forward(X), target)
    model.backward(loss.backward())
    gradients = answer(X, target, *(parameter.copy() for _, parameter in model.named_parameters()))
    if not isinstance(gradients, tuple) or len(gradients) != 6:
        return Text("not yet: return the six gradients", "todavía no: devuelve los seis gradientes")
    names = "dW1", "db1", "dW2", "db2", "dU", "dc"
    for name, mine, (_, right) in zip(reversed(names), gradients[::-1], [*model.named_gradients()][::-1], strict=True):
        if np.shape(mine) != right.shape:
            return Text(*(f"{name}: {each.format(right.shape, np.shape(mine))}" for each in SHAPE))
        if same(mine, right):
            continue
        if same(mine, right * len(X)):
            return Text(f"{name} is N times too large: the 1/N", f"{name} es N veces mayor: el 1/N")
        if same(mine, -right):
            return Text(f"{name} has the wrong sign", f"{name} tiene el signo contrario")
        after = names[names.index(name) + 1 :]
        is_right = f" ({', '.join(after)}: right)" if after else "", f" ({', '.join(after)}: bien)" if after else ""
        return Text(f"not yet: {name}{is_right[0]}", f"todavía no: {name}{is_right[1]}")
    return RIGHT


def swish(answer: nn.Layer) -> Text:
    """Judge a layer that should compute x sigmoid(x) (exercise 4.3)."""
    X = np.linspace(-3, 3, 8).reshape(2, 4)
    if not np.allclose(answer.forward(X), X / (1 + np.exp(-X))):
        return Text("not yet: forward", "todavía no: forward")
    try:
        nn.check_gradients(answer, X)
    except nn.GradientError as error:
        kind = error.report.fault.kind
        return Text(f"not yet: backward: {kind}", f"todavía no: backward: {kind}")
    return RIGHT


EXERCISES = {
    "0.1": Exercise(
        dY1 @ W.T,
        [
            (np.array([[30.0, -60]]), Text("that has x in place of w", "eso tiene x en lugar de w")),
            (np.array([[10.0, 100]]), Text("each x_i reaches every y_j", "cada x_i llega a todas las y_j")),
        ],
    ),
    "0.2": Exercise(
        X2.T @ dY2,
        [
            (X2.T @ dY2 / 2, Text("the sum over the samples, not the mean", "la suma sobre las muestras, no la media")),
            (X2[:1].T @ dY2[:1], Text("and the second sample?", "¿y la segunda muestra?")),
        ],
    ),
    "0.3": Exercise(
        32.0,
        [
            (0.25, Text("X has N rows as well as Y", "también X tiene N filas, no solo Y")),
            (512 * 1024 * 4 / 2**30, Text("X and Y have N rows", "X e Y tienen N filas")),
            (64.0, Text("4 bytes each", "4 bytes cada una")),
            (8.0, Text("that is in units of 2^30 entries", "eso son entradas, en unidades de 2^30")),
        ],
    ),
    "1.1": Exercise(
        (3.0, 9.0),
        [
            ((3.0, 3.0), Text("b has a second way to J", "b tiene otro camino hasta J")),
            ((3.0, 6.0), Text("b has a second way to J", "b tiene otro camino hasta J")),
            ((3.0, 18.0), Text("gradients add at a fork", "en una bifurcación los gradientes se suman")),
        ],
    ),
    "1.2": Exercise(
        np.array([0.4, 1.2]),
        [
            (np.array([1.6, 2.8]), Text("that is uphill", "eso es cuesta arriba")),
            (np.array([0.7, 1.6]), Text("the derivative of g^2", "la derivada de g^2")),
            (np.array([60.0, 80]), Text("that is the gradient; and the step?", "ese es el gradiente; ¿y el paso?")),
        ],
    ),
    "1.3": Exercise(1, []),
    "2.1": Exercise(
        -np.log(1 - 0.32),
        [
            (-np.log(0.32), Text("that is for target 1", "eso es para el objetivo 1")),
            (-np.log10(1 - 0.32), Text("the natural logarithm", "el logaritmo natural")),
            (np.log(1 - 0.32), Text("the sign", "el signo")),
        ],
    ),
    "2.2": Exercise(
        (y_hat - y) / 3,
        [
            (y_hat - y, Text("L is a mean", "L es una media")),
            ((y - y_hat) / 3, Text("the sign", "el signo")),
            (
                (y_hat - y) / 3 * y_hat * (1 - y_hat),
                Text("the sigmoid is in it already", "la sigmoide ya está incluida"),
            ),
            ((1 - y) / (1 - y_hat) / 3 - y / y_hat / 3, Text("that is dL/dy^", "eso es dL/dy^")),
        ],
    ),
    "2.3": Exercise(gradients_by_hand, []),
    "3.1": Exercise(
        500,
        [
            (50, Text("softmax mixes the entries of a row", "softmax mezcla las entradas de una fila")),
            (2500, Text("rows do not meet", "las filas no se mezclan")),
            (100, Text("there are five rows", "hay cinco filas")),
        ],
    ),
    "3.2": Exercise(
        P * (dP - (dP * P).sum(axis=1, keepdims=True)),
        [(P * (1 - P) * dP, Text("that is the diagonal alone", "eso es solo la diagonal"))],
    ),
    "3.3": Exercise(
        4354,
        [
            (4224, Text("and the biases?", "¿y los sesgos?")),
            (2146, Text("that is the encoder", "eso es el codificador")),
            (2208, Text("that is the decoder", "eso es el decodificador")),
        ],
    ),
    "4.1": Exercise(
        (1.0, 1.0),
        [
            ((0.5, 3.0), Text("max hands it to the larger", "max se lo entrega al mayor")),
            ((1.5, 4.0), Text("max hands it to one of the two", "max se lo entrega a uno de los dos")),
        ],
    ),
    "4.2": Exercise((dZ @ t, dZ.T @ x), []),
    "4.3": Exercise(swish, []),
}
