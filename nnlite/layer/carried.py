"""Carried attributes: those that one call of a method leaves to the next, read off its bytecode.

A method carries ``self.x`` if it assigns it, and on some path reads it before: then it reads what the call before has
left there, and the attribute is state. What is always assigned before it is read is a temporary.
"""

import dis
from collections.abc import Iterator
from functools import cache, lru_cache
from inspect import unwrap
from types import CodeType, FunctionType
from typing import Any, NamedTuple


class Use(NamedTuple):
    """How code uses the attributes of ``self``."""

    early: frozenset[str] = frozenset()  # read, on some path, before they are assigned
    assigned: frozenset[str] = frozenset()  # on some path, or written into in place
    always: frozenset[str] = frozenset()  # assigned on every path
    itself: frozenset[str] = frozenset()  # assigned in a statement that reads them, or written into in part


NOTHING = Use()


class _Place(NamedTuple):
    """Where code stands."""

    cls: type  # of the object whose method was called
    bases: tuple[type, ...]  # where super() looks
    above: tuple[Any, ...]  # the functions that have called this one
    own: str  # what it calls self


def carried_names(cls: type, method: str) -> frozenset[str]:
    """The names of the attributes that the method of the class carries, alone or with the methods that it mentions.

    >>> class Counter:
    ...     def count(self):
    ...         self.step = 2
    ...         self.total = self.next()
    ...     def next(self):
    ...         return self.total + self.step
    >>> sorted(carried_names(Counter, "count"))
    ['total']
    """
    use = _use(cls, method)
    return use.early & use.assigned


def read_names(cls: type, method: str) -> frozenset[str]:
    """The names that the method, or one that it mentions, reads and has not assigned before."""
    return _use(cls, method).early


def temporary_names(cls: type, method: str) -> frozenset[str]:
    """The names that the method assigns, and does not carry: what one call leaves there, the next one does not read."""
    use = _use(cls, method)
    return use.assigned - use.early


def accumulated_names(cls: type, method: str) -> frozenset[str]:
    """The carried names whose new value comes from the old one, as in ``self.mean = 0.9 * self.mean + X.mean()``.

    What a method only makes again where it does not fit, as a mask of the length of the input, is not among them.

    >>> class Average:
    ...     def forward(self, X):
    ...         if self.mask is None:
    ...             self.mask = X > 0
    ...         self.mean = 0.9 * self.mean + 0.1 * X
    >>> sorted(carried_names(Average, "forward")), sorted(accumulated_names(Average, "forward"))
    (['mask', 'mean'], ['mean'])
    """
    use = _use(cls, method)
    return use.early & use.itself


@cache
def _use(cls: type, method: str) -> Use:
    return _of_method(_Place(cls, (), (), ""), method, cls.__mro__)


def _of_method(place: _Place, name: str, bases: tuple[type, ...]) -> Use:
    """The use by the method, property or function of this name that the first of the bases has."""
    for index, base in enumerate(bases):
        if name in vars(base):
            found = vars(base)[name]
            function = found.fget if isinstance(found, property) else unwrap(found) if callable(found) else None
            if not isinstance(function, FunctionType) or function in place.above:  # it calls itself
                return Use()
            code = function.__code__
            own = code.co_varnames[0] if code.co_argcount else ""
            return _of_code(_Place(place.cls, bases[index + 1 :], (*place.above, function), own), code)
    return Use()


def _of_code(place: _Place, code: CodeType) -> Use:
    """The use by code: what is assigned before an instruction is followed along all paths, to a fixed point."""
    steps, following = _read(code)
    uses = {index: use for index in range(len(steps)) if (use := _of_step(place, code, steps, index)) != NOTHING}
    before: dict[int, frozenset[str]] = {}
    waiting: list[tuple[int, frozenset[str]]] = [(0, frozenset())]
    while waiting:
        index, known = waiting.pop()
        if index not in before or not before[index] <= known:
            before[index] = after = known & before.get(index, known)
            if index in uses:
                after |= uses[index].always
            waiting += [(number, after) for number in following[index]]
    ends = [known for index, known in before.items() if steps[index].opname.startswith("RETURN_")]
    return Use(
        early=frozenset().union(*(use.early - before[index] for index, use in uses.items() if index in before)),
        assigned=frozenset().union(*(use.assigned for use in uses.values())),
        always=frozenset.intersection(*ends) if ends else frozenset(),
        itself=frozenset().union(*(use.itself for use in uses.values())),
    )


@lru_cache(maxsize=128)  # many classes share the methods of their bases
def _read(code: CodeType) -> tuple[list[dis.Instruction], list[tuple[int, ...]]]:
    """The instructions, and of each the numbers of those that may follow it."""
    steps: list[dis.Instruction] = []
    numbers: dict[int, int] = {}  # of the steps by their offsets
    for step in dis.get_instructions(code):
        numbers[step.offset] = len(steps)
        if step.opname not in ("PRECALL", "EXTENDED_ARG", "NOP"):
            steps.append(step)
    return steps, [tuple(_next(steps, index, numbers)) for index in range(len(steps))]


def _next(steps: list[dis.Instruction], index: int, numbers: dict[int, int]) -> Iterator[int]:
    """The instructions that may follow."""
    step = steps[index]
    if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
        yield numbers[step.argval]
    elsewhere = step.opname.startswith(("JUMP_FORWARD", "JUMP_BACKWARD", "RETURN_", "RAISE", "RERAISE"))
    if not elsewhere and index + 1 < len(steps):
        yield index + 1


def _of_step(place: _Place, code: CodeType, steps: list[dis.Instruction], index: int) -> Use:
    """The use by one instruction: of an attribute of self, or by the method that it mentions."""
    step = steps[index]
    if not step.opname.startswith(("LOAD_", "STORE_")):
        return NOTHING
    name = frozenset({step.argval} if isinstance(step.argval, str) else ())
    match step.opname:
        case "LOAD_ATTR" | "LOAD_METHOD" if _is_self(place, steps, index - 1):
            if _is_out(code, steps, index + 1) or _is_overwritten(steps, index + 1):
                return Use(assigned=name, always=name)
            is_code = isinstance(getattr(place.cls, step.argval, None), FunctionType | property)
            return _of_method(place, step.argval, place.cls.__mro__) if is_code else Use(early=name)
        case "LOAD_ATTR" | "LOAD_METHOD" if index > 1 and steps[index - 2].argval == "super":
            return _of_method(place, step.argval, place.bases)
        case "LOAD_SUPER_ATTR":
            return _of_method(place, step.argval, place.bases)
        case "STORE_ATTR" if _stores_in_self(place, steps, index):
            return Use(assigned=name, always=name, itself=name if _reads_it(steps, index) else frozenset())
        case "STORE_SUBSCR" | "STORE_SLICE" if (container := _container(place, steps, index)) is not None:
            return Use(assigned=frozenset({container}), itself=frozenset({container}))
        case "LOAD_CONST" if isinstance(step.argval, CodeType) and place.own in step.argval.co_freevars:
            return _of_code(place, step.argval)._replace(always=frozenset())  # a comprehension or lambda
        case "LOAD_CONST" if name and {"hasattr", "getattr"} & {*code.co_names}:  # of (self, "x")
            return Use(early=name)
    return NOTHING


def _is_self(place: _Place, steps: list[dis.Instruction], index: int) -> bool:
    """Whether the instruction, or the one that it copies the result of, loads self."""
    while steps[index].opname == "COPY":  # as in self.x += 1
        index -= 1
    loaded = steps[index].argval  # two names, where one instruction loads two
    name = loaded[-1] if isinstance(loaded, tuple) and loaded else loaded
    return bool(place.own) and name == place.own and "LOAD_" in steps[index].opname


def _is_out(code: CodeType, steps: list[dis.Instruction], index: int) -> bool:
    """Whether what was loaded is the argument ``out`` of a call: the names of arguments follow it."""
    step = steps[index]
    names = code.co_consts[step.arg or 0] if step.opname in ("KW_NAMES", "LOAD_CONST") else None
    return isinstance(names, tuple) and names[-1:] == ("out",)


def _is_overwritten(steps: list[dis.Instruction], index: int) -> bool:
    """Whether what was loaded is written into as a whole: ``self.x[...] = value``."""
    return steps[index].argval is ... and steps[index + 1].opname == "STORE_SUBSCR"


def _reads_it(steps: list[dis.Instruction], index: int) -> bool:
    """Whether the statement that assigns the attribute reads it: its instructions come first, from the right of it."""
    stored, before = steps[index], index - 1
    while before >= 0 and _position(steps[before]) >= _position(stored):
        if steps[before].opname == "LOAD_ATTR" and steps[before].argval == stored.argval:
            return True
        before -= 1
    return False


def _position(step: dis.Instruction) -> tuple[int, int]:
    found = step.positions
    return (found.lineno or 0, found.col_offset or 0) if found else (0, 0)


def _stores_in_self(place: _Place, steps: list[dis.Instruction], index: int) -> bool:
    if steps[index - 1].opname != "SWAP":
        return _is_self(place, steps, index - 1)
    for before in range(index - 1, 0, -1):  # self.x += 1 stores it where it has read it from
        copied = steps[before].opname == "LOAD_ATTR" and steps[before - 1].opname == "COPY"
        if copied and steps[before].argval == steps[index].argval:
            return _is_self(place, steps, before - 1)
    return False


def _container(place: _Place, steps: list[dis.Instruction], index: int) -> str | None:
    """The attribute in ``self.x[...] = value`` and ``self.x[...] += value``: it is loaded before the index."""
    before = index - 1
    if steps[before].opname == "SWAP":
        while before > 0 and steps[before].opname != "COPY":
            before -= 1
        while steps[before].opname == "COPY":
            before -= 1
    size, bounds = 0, 2 if steps[index].opname == "STORE_SLICE" else 1  # what is on the stack after it
    while size < bounds and before > 0:
        size += dis.stack_effect(steps[before].opcode, steps[before].arg, jump=False)
        before -= 1
    if steps[before].opname == "LOAD_ATTR" and _is_self(place, steps, before - 1):
        return str(steps[before].argval)
    return None
