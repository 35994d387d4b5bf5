"""The parts of `check_gradients`: whether a backward is the derivative of its forward, and what is wrong if not.

How data flows:

1. ``trial.py``: a layer on a fixed input as a function J of single numbers; ``central_differences.py`` differentiates J
   by one of them and knows how accurate that is; ``comparison.py`` compares a gradient with it, entry by entry.
2. ``form.py`` sees what is wrong without a comparison: gradients that are not returned or of a wrong shape, arrays that
   backward modifies; and the likely cause of an error.
3. ``diagnosis.py`` compares the whole model. If it differs, it goes through the recorded calls from the output back and
   compares each layer by itself, on the X and dY that it received, up to the first one that is wrong.
4. ``hypotheses.py``: each usual mistake is a guess at what that layer's gradient would be if it had been made, computed
   from the arrays in ``evidence.py``. The first guess that equals the gradient is the diagnosis.
5. ``fault.py``: the diagnosis as a :class:`Fault`, with the sentence for each kind. A new kind is a line there and a
   guess in ``hypotheses.py``; a new layer needs nothing.
"""
