"""Other people's formats and interfaces: scikit-learn, PyTorch, safetensors, ONNX, plain NumPy source, C.

What a format needs to know about a layer is declared in the layer's class, as its formulas are; there is no table of
classes here. Each file needs the package of its format, and is imported when it is first used.
"""
