#!/usr/bin/python3
"""A model of the paper's kind for inference in PyTorch, like the paper's baseline: mpirun -n N torch_decoder.py.

Every rank holds attention and dense MLPs, and 1/N of each layer's experts; texts are divided among ranks. A MoE layer
is one-hot masks, einsum, all-to-all, batched GEMM over experts, all-to-all, einsum; nothing is dropped.

Rank 0 reads one JSON object a line. The first is the model: config, files (safetensors, F32), dtype, threads (of a
rank); its answer is {}. Each other one is ids [texts, steps + 1]: a step draws the next token of each text, and goes on
with the one in ids. Its answer is {"ms": [of each step, of the slowest rank], "logprobs": [texts, steps]}, of the
tokens in ids. {"error": text} answers what failed.
"""
import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from mpi4py import MPI
from torch_moe import DTYPES, combine_weights, turned

ACTIVATIONS = {
    "RELU": F.relu,
    "GELU": F.gelu,
    "GELU_TANH": lambda x: F.gelu(x, approximate="tanh"),
    "SILU": F.silu,
}
WORLD = MPI.COMM_WORLD
RANK, RANKS = WORLD.Get_rank(), WORLD.Get_size()


def all_to_all(x):
    """Part r of the first dimension goes to rank r."""
    if RANKS == 1:
        return x
    x = x.contiguous()
    y = torch.empty_like(x)
    WORLD.Alltoall([x.view(torch.uint8).numpy(), MPI.BYTE], [y.view(torch.uint8).numpy(), MPI.BYTE])
    return y


class Weights:
    """Tensors of safetensors files by name, read when asked for."""

    def __init__(self, files, dtype):
        self.dtype, self.places = dtype, {}
        for file in files:
            data = np.memmap(file, np.uint8, "c")
            begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
            for name, about in json.loads(data[8:begin].tobytes()).items():
                if name != "__metadata__":
                    first, end = about["data_offsets"]
                    self.places[name] = data[begin + first : begin + end], about["shape"]

    def read(self, name, dtype=None):
        data, shape = self.places[name]
        return torch.frombuffer(data, dtype=torch.float32).view(shape).to(dtype or self.dtype, copy=True)

    def linear(self, *names):
        """Weight and bias (or None) of one matrix, or of several that are concatenated."""
        biases = [self.read(name + ".bias") for name in names if name + ".bias" in self.places]
        return torch.cat([self.read(name + ".weight") for name in names]), torch.cat(biases) if biases else None

    def stack(self, names):
        """Weights [E, in, out] and biases [E, 1, out] (or 0) for batched products."""
        matrices, biases = zip(*(self.linear(name) for name in names))
        return torch.stack(matrices).transpose(1, 2), 0 if biases[0] is None else torch.stack(biases)[:, None]


class Norm:
    def __init__(self, weights, at, config):
        self.weight, self.bias = weights.linear(at)
        self.epsilon = config["epsilon"]

    def __call__(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


class Attention:
    def __init__(self, weights, at, config, context):
        self.heads, self.size = config["heads"]["query"], config["heads"]["size"]
        self.qkv = weights.linear(*(f"{at}.{name}" for name in ("query", "key", "value")))
        self.output = weights.linear(at + ".output")
        half = self.size // 2
        angles = torch.arange(context)[:, None] * config["rotary"]["base"] ** (-torch.arange(half) / half)
        self.cosine, self.sine = angles.cos().to(weights.dtype), angles.sin().to(weights.dtype)

    def begin(self, texts, length):
        self.cache = torch.zeros(2, texts, self.heads, length, self.size, dtype=self.qkv[0].dtype)

    def __call__(self, x, place):
        q, k, v = F.linear(x, *self.qkv).view(len(x), 3, self.heads, self.size).unbind(1)
        cosine, sine = self.cosine[place], self.sine[place]
        self.cache[0, :, :, place] = turned(k, cosine, sine)
        self.cache[1, :, :, place] = v
        keys, values = self.cache[:, :, :, : place + 1]
        y = F.scaled_dot_product_attention(turned(q, cosine, sine)[:, :, None], keys, values)
        return F.linear(y.reshape(len(x), -1), *self.output)


class Mlp:
    def __init__(self, weights, at, activation):
        self.up, self.down = weights.linear(at + ".up"), weights.linear(at + ".down")
        self.activation = ACTIVATIONS[activation]

    def __call__(self, x):
        return F.linear(self.activation(F.linear(x, *self.up)), *self.down)


class MoE:
    def __init__(self, weights, at, config):
        gate, self.experts = config["gate"], config["experts"]
        self.top_k, self.normalized = gate["topK"], gate["weight"]["normalization"] != "RAW"
        self.activation = ACTIVATIONS[config["activation"]]
        self.own = self.experts // RANKS
        own = [f"{at}.experts.{expert}" for expert in range(RANK * self.own, (RANK + 1) * self.own)]
        self.up = weights.stack([name + ".up" for name in own])
        self.down = weights.stack([name + ".down" for name in own])
        self.router = weights.read(at + ".gate.weight", torch.float32)
        self.mlp = None
        if config.get("residual"):
            self.mlp = Mlp(weights, at + ".mlp", config["activation"])
            self.coefficient = weights.linear(at + ".coefficient")

    def __call__(self, x):
        weight, chosen = torch.topk(F.softmax(F.linear(x.float(), self.router), -1), self.top_k)
        # The capacity is the fullest queue of all ranks, like in DeepSpeed without drops.
        capacity = int(torch.bincount(chosen.flatten()).max())
        if RANKS > 1:
            capacity = WORLD.allreduce(capacity, MPI.MAX)
        combine = combine_weights(weight, chosen, self.experts, capacity, self.normalized)
        rows = all_to_all(torch.einsum("sec,sm->ecm", combine.bool().to(x.dtype), x))
        rows = rows.view(RANKS, self.own, capacity, -1).transpose(0, 1).reshape(self.own, RANKS * capacity, -1)
        rows = self.product(self.down, self.activation(self.product(self.up, rows)))
        rows = rows.view(self.own, RANKS, capacity, -1).transpose(0, 1)
        rows = all_to_all(rows).reshape(self.experts, capacity, -1)
        y = torch.einsum("sec,ecm->sm", combine.to(x.dtype), rows)
        if self.mlp is None:
            return y
        mix = F.softmax(F.linear(x, *self.coefficient), -1)
        return y * mix[:, :1] + self.mlp(x) * mix[:, 1:]

    @staticmethod
    def product(matrices, rows):
        weight, bias = matrices
        return torch.bmm(rows, weight).add_(bias)


class Decoder:
    def __init__(self, config, files, dtype, threads):
        torch.set_num_threads(threads)
        weights = Weights(files, DTYPES[dtype])
        self.embedding = weights.read("embedding.weight")
        self.head = self.embedding if config["head"]["tied"] else weights.read("head.weight")
        self.norm = Norm(weights, "final_norm", config["finalNorm"])
        self.blocks = []
        for layer, block in enumerate(config["blocks"]):
            at, forward = f"layers.{layer}.", block["feedForward"]
            dense = forward["kind"] == "DENSE"
            self.blocks.append((
                Norm(weights, at + "attention_norm", block["attentionNorm"]),
                Attention(weights, at + "attention", block["attention"], config["context"]),
                Norm(weights, at + "mlp_norm", block["feedForwardNorm"]),
                Mlp(weights, at + "mlp", forward["activation"]) if dense else MoE(weights, at + "moe", forward),
            ))

    def step(self, ids, place):
        """Log-probabilities [S, V] after a token of each sequence, and the tokens sampled from them."""
        x = F.embedding(ids, self.embedding)
        for attention_norm, attention, norm, forward in self.blocks:
            x = x + attention(attention_norm(x), place)
            x = x + forward(norm(x))
        logprobs = F.log_softmax(F.linear(self.norm(x), self.head).float(), -1)
        return logprobs, torch.multinomial(logprobs.exp(), 1)

    def write(self, ids):
        """Rank 0 prints the response."""
        texts, length = len(ids), len(ids[0]) - 1
        share = -(-texts // RANKS)
        own = torch.tensor([ids[min(RANK * share + text, texts - 1)] for text in range(share)])
        for _, attention, _, _ in self.blocks:
            attention.begin(share, length)
        told, times = [], np.empty(length)
        WORLD.Barrier()
        for place in range(length):
            start = time.perf_counter()
            logprobs, _ = self.step(own[:, place], place)
            times[place] = (time.perf_counter() - start) * 1e3
            told.append(logprobs.gather(1, own[:, place + 1, None]))
        slowest = np.empty_like(times)
        WORLD.Allreduce(times, slowest, MPI.MAX)
        told = WORLD.gather(torch.cat(told, 1).tolist())
        if RANK == 0:
            print(json.dumps({"ms": slowest.tolist(), "logprobs": sum(told, [])[:texts]}), flush=True)


def lines():
    """The objects of rank 0's standard input, on every rank."""
    while line := WORLD.bcast(sys.stdin.readline() if RANK == 0 else None):
        yield json.loads(line)


def main():
    if RANK == 0:
        print(json.dumps({"torch": torch.__version__}), flush=True)
    questions = lines()
    with torch.inference_mode():
        decoder = Decoder(**next(questions))
        if RANK == 0:
            print("{}", flush=True)
        for ids in questions:
            decoder.write(ids)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # pylint: disable=broad-except
        print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0]}), flush=True)
        WORLD.Abort(1)
