"""What every room builds on: arrays, trees of them, shapes, and checks of arguments."""
