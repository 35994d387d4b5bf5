"""Looking into a model: what its layers compute, whether their gradients are right, what they cost.

How data flows, from the model to what is printed:

1. What a layer or a loss says of itself stands beside it: ``formulas``, ``output_range``, ``flops``, ``has_units``,
   ``constant_output``, ``sign``, ``Loss.uniform_prediction`` and others; a tool has no table of classes. A container
   says how its parts are connected, ``forward_through``.
2. ``containers/program.py`` makes a flat list of operations with numbered edges of that: a Program. Nothing else walks
   containers, but ``containers/stepping.py``, which runs them one layer at a time for ``forward_steps``.
3. ``recording.py`` notes what each layer receives and returns while a model runs: a Recording of LayerCalls. With
   ``careful=True`` it keeps copies, and notes what a layer modifies in place.
4. ``run.py`` is where tools run a model: a Run copies model, loss and arrays, runs forward and backward, and has the
   Recording, and the arrays on the edges of the Program. The caller's model, generators and arrays stay as they are.
5. The tools are views of a Run: ``summary``; ``picture.py``, which ``draw``, ``to_mermaid`` and ``to_dot`` show;
   ``explain``, whose way from a formula to a printed line is in ``formulas/``; ``profile``; ``per_sample``;
   ``unit_activity``; ``sanity`` and its checks.

``check_gradients`` compares backward with numerical differences and says what is wrong; its parts, and how data flows
through them, are in ``gradients/``.
"""
