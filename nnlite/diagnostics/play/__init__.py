"""play: a page on which a model runs forward and backward, one operation at a time."""

from nnlite.diagnostics.play.player import Player, play

__all__ = ["Player", "play"]
