"""Records gradients.json beside this file: autograd of activation(x W^T + b + s (x A^T) B^T) by PyTorch.

A SwiGLU layer whose matrix has an adapter, and a layer of experts, each with its own rows and adapter.
usage: python3 make.py
"""

import json
import pathlib

import torch

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
SCALE = 1.5
RANK = 3


def numbers(*shape):
    return torch.randn(*shape).float().double()


def swiglu(x):
    gate, up = x.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up


def gelu(x):
    return torch.nn.functional.gelu(x, approximate="tanh")


def layer(x, w, bias, a, b, activation):
    # The merged matrix: W + s B A.
    return activation(x @ (w + SCALE * b @ a).T + bias)


def record(x, w, bias, a, b, rows, activation, outputs):
    """rows: how many each matrix of the stack gets."""
    leaves = [x, a, b]
    for leaf in leaves:
        leaf.requires_grad_()
    parts = torch.split(x, rows)
    y = torch.cat([layer(p, w[i], bias[i], a[i], b[i], activation) for i, p in enumerate(parts)])
    dy = numbers(x.shape[0], outputs)
    y.backward(dy)
    named = dict(x=x, w=w, bias=bias, a=a, b=b, dy=dy, y=y, dx=x.grad, da=a.grad, db=b.grad)
    flat = {name: value.detach().flatten().tolist() for name, value in named.items()}
    flat["rows"] = rows
    return flat


def stack(experts, rows, inputs, outputs, activation, width):
    return record(
        numbers(sum(rows), inputs),
        numbers(experts, outputs, inputs),
        numbers(experts, outputs),
        numbers(experts, RANK, inputs),
        numbers(experts, outputs, RANK),
        rows,
        activation,
        width,
    )


recorded = {
    "scale": SCALE,
    "rank": RANK,
    "dense": stack(1, [5], 12, 8, swiglu, 4),
    "experts": stack(4, [3, 0, 5, 1], 10, 6, gelu, 6),
}
file = pathlib.Path(__file__).with_name("gradients.json")
file.write_text(json.dumps(recorded, separators=(",", ":")) + "\n")
