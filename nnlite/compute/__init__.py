"""Fast computation: matrix products, elementwise formulas, accurate sums, blocks and threads."""
