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


def check(exercise: str, answer: Any) -> None:
    """Print whether the answer is right, or a hint."""
    print(f"{exercise}: {judged(exercise, answer).en}")


def comprobar(ejercicio: str, respuesta: Any) -> None:
    """Imprime si la respuesta es correcta, o una pista."""
    print(f"{ejercicio}: {judged(ejercicio, respuesta).es}")


def judged(name: str, answer: Any) -> Text:
    """What there is to say of the answer."""
    name = str(name)  # 0.1 is as good as "0.1"
    if name not in EXERCISES:
        raise ValueError(f"exercise: expected one of {', '.join(EXERCISES)}, got {name!r}")
    if answer is ...:
        return OPEN
    right, mistakes = EXERCISES[name]
    if callable(right):
        return right(answer)
    answer = arranged(answer, right)
    if described(answer) != described(right):
        return not_yet(*expected(described(right), described(answer)))
    if same(answer, right):
        return RIGHT
    hints = [hint for wrong, hint in mistakes if described(wrong) == described(answer) and same(answer, wrong)]
    if not hints and same(answer, right, digits=2):
        return not_yet("nearly; answer with three digits", "casi; responde con tres cifras")
    return not_yet(*hints[0]) if hints else WRONG


def arranged(answer: Any, right: Any) -> Any:
    """The answer as a tuple or as an array, as the right one is: (3, 9), [3, 9] and np.array([3, 9]) are the same."""
    if isinstance(right, tuple):
        return tuple(answer) if isinstance(answer, list | np.ndarray) and np.size(answer[:1]) else answer
    return list(answer) if isinstance(answer, tuple) else answer


def described(value: Any) -> Text:
    """The shapes of an answer, without its values; what holds no numbers as it is."""
    if isinstance(value, tuple):
        parts = [described(each) for each in value]
        return Text(*(f"({', '.join(words)})" for words in zip(*parts, strict=True))) if parts else Text("()", "()")
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        return Text(repr(value), repr(value))
    if array.dtype.kind not in "biuf":
        return Text(repr(value), repr(value))
    return (
        Text(f"an array {array.shape}", f"un arreglo {array.shape}") if array.shape else Text("a number", "un número")
    )


def same(one: Any, other: Any, digits: int = 3) -> bool:
    """Whether two answers of the same shapes are equal to so many digits; whole numbers are equal or not."""
    if isinstance(one, tuple):
        return all(same(*pair, digits) for pair in zip(one, other, strict=True))
    if isinstance(other, int):
        return bool(one == other)
    return bool(np.allclose(one, other, rtol=2 * 10.0**-digits, atol=1e-9))


def not_yet(en: str, es: str) -> Text:
    """A wrong answer, and what to think of."""
    return Text(f"{WRONG.en}: {en}", f"{WRONG.es}: {es}")


def expected(right: Text, answer: Text) -> Text:
    """What came in place of the right kind or shape."""
    return Text(f"expected {right.en}, got {answer.en}", f"se esperaba {right.es}, llegó {answer.es}")


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
    if not callable(answer):
        return not_yet(
            "write the name of the function, without calling it", "escribe el nombre de la función, sin llamarla"
        )
    gradients = answer(X, target, *(parameter.copy() for _, parameter in model.named_parameters()))
    names = ["dW1", "db1", "dW2", "db2", "dU", "dc"]
    if not isinstance(gradients, tuple | list) or len(gradients) != len(names):
        return not_yet("return the six gradients", "devuelve los seis gradientes")
    done: list[str] = []
    for name, mine, (_, right) in [*zip(names, gradients, model.named_gradients(), strict=True)][
        ::-1
    ]:  # as backward goes
        if described(mine) != described(right):
            wrong = expected(described(right), described(mine))
            return not_yet(f"{name}: {wrong.en}", f"{name}: {wrong.es}")
        if not same(mine, right):
            wrong = wrong_gradient(mine, right, N=len(X))
            after = Text(f" ({', '.join(done)}: right)", f" ({', '.join(done)}: bien)") if done else Text("", "")
            return not_yet(f"{name}{wrong.en}{after.en}", f"{name}{wrong.es}{after.es}")
        done.insert(0, name)
    return RIGHT


def wrong_gradient(mine: Any, right: np.ndarray, N: int) -> Text:
    """What is wrong with a gradient, as the end of a sentence."""
    if same(mine, right * N):
        return Text(" is N times too large: the 1/N", " es N veces mayor: el 1/N")
    if same(mine, right / N):
        return Text(" is N times too small: 1/N once only", " es N veces menor: el 1/N va una sola vez")
    if same(mine, -right):
        return Text(" has the wrong sign", " tiene el signo contrario")
    return Text("", "")


def swish(answer: nn.Layer) -> Text:
    """Judge a layer that should compute x sigmoid(x) (exercise 4.3)."""
    if not isinstance(answer, nn.Layer):
        return not_yet(*expected(Text("a layer, such as Swish()", "una capa, por ejemplo Swish()"), described(answer)))
    X = np.linspace(-3, 3, 8).reshape(2, 4)
    Y = answer.forward(X)
    if Y is None:
        return not_yet("forward returns nothing", "forward no devuelve nada")
    if described(Y) != described(X) or not np.allclose(Y, X / (1 + np.exp(-X))):
        return not_yet("forward", "forward")
    if answer.backward(np.ones_like(X)) is None:
        return not_yet("backward returns nothing", "backward no devuelve nada")
    try:
        nn.check_gradients(answer, X)
    except nn.GradientError as error:
        kind = error.report.fault.kind
        return not_yet(f"backward: {kind}", f"backward: {kind}")
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
            (2.0**35, Text("that is in bytes", "eso son bytes")),
            (2**35 / 10**9, Text("1 GiB is 2^30 bytes", "1 GiB son 2^30 bytes")),
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
    "1.3": Exercise(
        1,
        [
            (
                4,
                Text(
                    "do two neurons ever get different gradients?",
                    "¿reciben dos neuronas alguna vez gradientes distintos?",
                ),
            )
        ],
    ),
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
    "4.2": Exercise(
        (dZ @ t, dZ.T @ x),
        [
            (
                (dZ.sum(axis=1), dZ.sum(axis=0)),
                Text("and the other factor, entry by entry?", "¿y el otro factor, elemento a elemento?"),
            )
        ],
    ),
    "4.3": Exercise(swish, []),
}
