"""PyTorch's state dicts: ``torch_arrays.py`` is what a model has there, ``torch_keys.py`` finds it by path or order."""
