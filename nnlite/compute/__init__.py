"""What makes the speed: matrix products, elementwise formulas, blocks and threads."""
