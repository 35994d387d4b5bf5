"""Other people's formats and interfaces: scikit-learn, PyTorch, safetensors, ONNX, plain NumPy source, C.

What a format needs to know of a layer stands beside the layer, as its formulas do; a tool here asks the layer, and has
no table of classes. Each file needs the package that owns its format, and is imported when it is first asked for.
"""
