"""Networks as C: the logged calls of one sample become loops over static arrays of floats.

c_lines.py makes loops of calls, to_c.py the header of them.
"""
