#!/usr/bin/python3
"""Checks on the CPU that the peers of a layer compute the same outputs, and their messages about missing parts. Exit
status 77 if PyTorch is not installed."""
import importlib.util
import sys

if importlib.util.find_spec("torch") is None:
    sys.exit(77)

import torch
import torch_moe
import triton_moe


def same(one, other, what):
    difference = (one - other).abs().max().item()
    assert difference < 1e-5 * max(1, other.abs().max().item()), f"{what}: {difference}"


def work(kind, style):
    return {"kind": kind, "style": style, "hidden": 32, "expert_hidden": 24, "experts": 5, "top_k": 2, "gated": True,
            "copies": 2, "dtype": "bf16", "threads": 1}


def missing(kind, style, sentence):
    try:
        torch_moe.Current().run(work(kind, style), 7, 2, 0)
    except torch_moe.Missing as error:
        assert sentence in str(error), error
    else:
        raise AssertionError(f"{kind} by {style} is not missing")


torch.manual_seed(1)
for experts, top_k, gated, tokens in ((5, 2, True, 200), (8, 1, False, 3), (3, 3, True, 1), (64, 1, True, 130)):
    layer = torch_moe.MoE(32, 24, experts, top_k, gated, torch.float32, "loop")
    x = torch.randn(tokens, 32)
    with torch.inference_mode():
        chosen = layer.choose(x)[1]
        blocks = triton_moe.Blocks(chosen, experts)
        rows = blocks.rows[blocks.rows < blocks.count].long()
        assert torch.equal(rows.sort().values, torch.arange(tokens * top_k)), "each choice has one row"
        experts_of_rows = blocks.expert.repeat_interleave(triton_moe.ROWS)[blocks.rows < blocks.count].long()
        assert torch.equal(experts_of_rows, chosen.flatten()[rows]), "a block has one expert"
        same(layer.triton(x), layer.loop(x), f"blocks of {experts} experts, top-{top_k}")

for kind, style in (("gate", "loop"), ("grouped-gemm", "cublaslt"), ("attention", "loop")):
    times = torch_moe.Current().run(work(kind, style), 7, 2, 0)
    assert len(times) == 1 and times[0] > 0, times
if not hasattr(torch, "_grouped_mm"):
    missing("moe-layer", "grouped", "has no torch._grouped_mm")
if importlib.util.find_spec("flash_attn") is None:
    missing("attention", "flash-attn", "flash_attn is not installed")
print("the peers of a layer agree")
