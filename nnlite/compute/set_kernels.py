"""The choice between NumPy and Numba for elementwise formulas."""

import os

from nnlite.compute.kernel import Kernel, numpy_function


def set_kernels(name: str) -> None:
    """Choose how elementwise formulas are computed.

    Args:
        name: "numpy", the default, or "numba", which needs the extra ``fast``: each formula is then one loop, which
            Numba compiles when it is first used (0.1 to 0.3 s) and caches for later processes in ``~/.cache/nnlite``,
            if that can be written. OMP_NUM_THREADS sets the number of threads, as for NumPy. Numba's start takes 0.6 s.

    Their results may differ in the last bit. Numba's loops give no warnings of overflow and the like; where
    ``np.errstate`` asks for an error, NumPy computes instead, and raises it. The environment variable
    ``NNLITE_KERNELS=numba`` does the same as the call.

    Raises:
        ValueError: another name.
        ImportError: the package numba is not installed.

    >>> set_kernels("numpy")
    """
    if name == "numpy":
        Kernel.make = numpy_function
    elif name == "numba":
        try:
            from nnlite.compute.numba_function import numba_function
        except ImportError as error:
            raise ImportError(
                f"nnlite: the package numba cannot be imported: {error}; install nnlite's extra 'fast', or do not use "
                "NNLITE_KERNELS and set_kernels"
            ) from None
        Kernel.make = numba_function
    else:
        raise ValueError(f"set_kernels: expected 'numpy' or 'numba', got {name!r}")
    for each in tuple(Kernel.everyone):
        each.forget()


set_kernels(os.environ.get("NNLITE_KERNELS") or "numpy")
