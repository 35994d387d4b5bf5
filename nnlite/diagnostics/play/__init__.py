"""play: a page on which a model runs forward and backward, one operation at a time."""
