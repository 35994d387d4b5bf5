"""Networks as programs in NumPy alone.

compute/call_log.py logs the NumPy calls of layers that run on arrays that stand for others. containers/logged_run.py
runs a model so, and names what it computes. Here these calls become the lines of a program:

- lines.py makes expressions and lines of calls; helpers.py adds the source of functions of nnlite that they call;
- logged_update.py logs the step of an optimizer;
- examples.py makes a batch to run on, and check_same.py checks each program against the layers;
- unwritable.py lists the layers that cannot be written.
"""
