"""A page on which a small network trains before your eyes, operation by operation, and a film of its graph for slides.

Run it with:  python examples/play.py [--open] [--page play.html] [--film film.gif]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--open", action="store_true", help="show the page in the browser")
parser.add_argument("--page", help="file for the page, such as play.html")
parser.add_argument("--film", help="file for the film, such as film.gif; needs matplotlib")
options = parser.parse_args()

rng = np.random.default_rng(0)
X, Y = nn.datasets.xor()
model = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Tanh(), nn.Linear(3, 1, rng=rng), nn.Sigmoid())

page = nn.play(model, X, Y, nn.BCELoss(), optimizer=nn.SGD(model, lr=1.0), steps=3)
print(page)
if options.page:
    page.save(options.page)
if options.open:
    page.open()

# A neuron with a squared error: each operation of forward and then of backward is a frame.
x, t = nn.Input("x"), nn.Input("t")
w, b = nn.Parameter(2.0, name="w"), nn.Parameter(-1.0, name="b")
neuron = nn.Graph([x, t], nn.Square()(nn.Tanh()(w * x + b) - t))
operations = sum(1 for _ in nn.forward_steps(neuron, (0.7, 1.0)))
print(f"the film has {2 * operations + 1} frames, from the inputs to the last gradient")

if options.film:
    import io

    from matplotlib import pyplot as plt
    from PIL import Image  # matplotlib needs it as well

    frames = []
    for count in range(2 * operations + 1):
        picture = io.BytesIO()
        figure = nn.draw(neuron, (0.7, 1.0), upto=count)
        figure.savefig(picture, dpi=120)
        plt.close(figure)
        frames.append(Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE))
    frames[0].save(options.film, save_all=True, append_images=frames[1:], duration=800, loop=0)
