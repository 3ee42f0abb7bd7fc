#!/usr/bin/env python3
"""Writes the matrices of a synthetic-64 GGUF file as another architecture, for peers that do not know Qwen3-MoE.

usage: gguf_as.py olmoe|gpt-oss FROM TO
Norms are ones, biases and sinks zeros. gpt-oss has a window of 128 tokens on every other layer.
"""
import struct
import sys

import numpy as np

ALIGNED = 32
F32, U32, STRING, ARRAY = 0, 4, 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class Reader:
    def __init__(self, path):
        self.data = np.memmap(path, np.uint8, "r")
        self.at = 8
        tensors, keys = self.take("<QQ")
        self.keys = [(self.text(), *self.typed()) for _ in range(keys)]
        infos = [self.info() for _ in range(tensors)]
        start = -(-self.at // ALIGNED) * ALIGNED
        ends = sorted(offset for _, _, _, offset in infos) + [len(self.data) - start]
        self.tensors = {
            name: (shape, dtype, self.data[start + offset : start + ends[ends.index(offset) + 1]])
            for name, shape, dtype, offset in infos
        }

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def text(self):
        (length,) = self.take("<Q")
        self.at += length
        return bytes(self.data[self.at - length : self.at]).decode()

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            element, count = self.take("<IQ")
            for _ in range(count):
                self.skip(element)
        else:
            self.at += SIZES[kind]

    def typed(self):
        (kind,) = self.take("<I")
        begin = self.at
        self.skip(kind)
        return kind, bytes(self.data[begin : self.at])

    def info(self):
        name = self.text()
        shape = self.take("<%dQ" % self.take("<I")[0])
        return name, shape, *self.take("<IQ")


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def written(path, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, kind, raw in keys:
        head += text(key) + struct.pack("<I", kind) + raw
    at = 0
    for name, (shape, dtype, data) in tensors.items():
        head += text(name) + struct.pack("<I%dQIQ" % len(shape), len(shape), *shape, dtype, at)
        at += -(-len(data) // ALIGNED) * ALIGNED
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNED))
        for _, _, data in tensors.values():
            file.write(data.tobytes() + bytes(-len(data) % ALIGNED))


def main(architecture, source, target):
    file = Reader(source)
    number = {key: struct.unpack("<I", raw)[0] for key, kind, raw in file.keys if kind == U32}
    hidden, heads, experts, inner, layers = (
        number["qwen3moe." + key]
        for key in ("embedding_length", "attention.head_count", "expert_count", "feed_forward_length", "block_count")
    )
    keys = [
        (key.replace("qwen3moe", architecture), kind, text(architecture) if key == "general.architecture" else raw)
        for key, kind, raw in file.keys
    ]
    tensors = dict(file.tensors)

    def add(name, value, *shape):
        tensors[name] = (shape, F32, np.full(shape, value, np.float32).view(np.uint8).reshape(-1))

    for layer in range(layers):
        block = f"blk.{layer}."
        if architecture == "olmoe":  # norms of all heads together
            add(block + "attn_q_norm.weight", 1, hidden)
            add(block + "attn_k_norm.weight", 1, hidden)
            continue
        del tensors[block + "attn_q_norm.weight"], tensors[block + "attn_k_norm.weight"]
        tensors[block + "post_attention_norm.weight"] = tensors.pop(block + "ffn_norm.weight")
        add(block + "attn_sinks.weight", 0, heads)
        for matrix in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}{matrix}.bias", 0, hidden)
        add(block + "ffn_gate_inp.bias", 0, experts)
        for matrix, width in (("gate", inner), ("up", inner), ("down", hidden)):
            add(f"{block}ffn_{matrix}_exps.bias", 0, width, experts)
    if architecture == "gpt-oss":
        keys.append(("gpt-oss.attention.sliding_window", U32, struct.pack("<I", 128)))
    written(target, keys, tensors)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("olmoe", "gpt-oss"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
