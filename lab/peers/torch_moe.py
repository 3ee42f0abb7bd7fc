#!/usr/bin/python3
"""The benchmark's work in PyTorch: torch_moe.py [cpu|cuda], the CPU by default.

Reads one JSON object a line: work (kind, style, hidden, expert_hidden, experts, top_k, gated, copies, dtype, threads),
tokens, batches, seconds. Runs it for that long and answers {"ms": [of each call]} or {"error": text}.
"""
import json
import math
import sys
import time
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn

DEVICE = sys.argv[1] if len(sys.argv) > 1 else "cpu"
CAPACITY_FACTOR = 1.25
MINIMUM_CAPACITY = 4
GROUP_MS, MOST_CALLS = 4, 200  # on a GPU calls run in groups between two waits, like ours


class Expert(nn.Module):
    def __init__(self, hidden, inner, gated, dtype):
        super().__init__()
        self.up = nn.Linear(hidden, inner, bias=False, dtype=dtype)
        self.gate = nn.Linear(hidden, inner, bias=False, dtype=dtype) if gated else None
        self.down = nn.Linear(inner, hidden, bias=False, dtype=dtype)

    def forward(self, x):
        inner = F.gelu(self.up(x)) if self.gate is None else F.silu(self.gate(x)) * self.up(x)
        return self.down(inner)


class Adapted(nn.Module):
    """A frozen matrix, and a low-rank adapter that is trained."""

    RANK = 16

    def __init__(self, inputs, outputs, dtype):
        super().__init__()
        self.frozen = nn.Linear(inputs, outputs, bias=False, dtype=dtype).requires_grad_(False)
        self.a = nn.Linear(inputs, self.RANK, bias=False, dtype=dtype)
        self.b = nn.Linear(self.RANK, outputs, bias=False, dtype=dtype)

    def forward(self, x):
        return self.frozen(x) + 2 * self.b(self.a(x))


class AdaptedExpert(nn.Module):
    """Gate and up are one matrix with one adapter, like in ours."""

    def __init__(self, hidden, inner, gated, dtype):
        super().__init__()
        self.gated = gated
        self.up, self.down = Adapted(hidden, inner * (2 if gated else 1), dtype), Adapted(inner, hidden, dtype)

    def forward(self, x):
        inner = self.up(x)
        if self.gated:
            gate, inner = inner.chunk(2, -1)
            return self.down(F.silu(gate) * inner)
        return self.down(F.gelu(inner))


class Missing(Exception):
    """This machine lacks something; the message is a sentence."""


def sorted_by_expert(chosen, experts):
    """The choices [S, K] sorted by expert, and the end offset of each expert."""
    flat = chosen.flatten()
    ends = torch.cumsum(torch.bincount(flat, minlength=experts), 0).to(torch.int32)
    return torch.argsort(flat, stable=True), ends


def grouped_product(x, weights, ends):
    if not hasattr(torch, "_grouped_mm"):
        raise Missing(f"PyTorch {torch.__version__} has no torch._grouped_mm")
    return torch._grouped_mm(x, weights, offs=ends)


def combine_weights(weight, chosen, experts, capacity, normalized):
    """One-hot combine tensor [S, E, C] of choices [S, K]; an expert drops choices beyond its capacity."""
    combine = torch.zeros(len(chosen), experts, capacity)
    queued = torch.zeros(experts, dtype=torch.long)
    kept_weights = []
    for choice in range(chosen.shape[1]):
        mask = F.one_hot(chosen[:, choice], experts)
        place = torch.cumsum(mask, 0) - 1 + queued
        queued = queued + mask.sum(0)
        mask = mask * (place < capacity)
        slot = F.one_hot((place * mask).sum(1), capacity).float()
        kept_weights.append((weight[:, choice, None] * mask, slot))
    total = sum(kept.sum(1) for kept, _ in kept_weights).clamp(min=torch.finfo(torch.float32).eps)
    for kept, slot in kept_weights:
        if normalized:
            kept = kept / total[:, None]
        combine = combine + torch.einsum("se,sc->sec", kept, slot)
    return combine


class MoE(nn.Module):
    def __init__(self, hidden, inner, experts, top_k, gated, dtype, style, expert=Expert):
        super().__init__()
        self.top_k, self.style, self.stacks = top_k, style, None
        self.router = nn.Linear(hidden, experts, bias=False, dtype=torch.float32 if style == "einsum" else dtype)
        self.experts = nn.ModuleList(expert(hidden, inner, gated, dtype) for _ in range(experts))

    def forward(self, x):
        return getattr(self, self.style)(x)

    def choose(self, x):
        """The weights and the experts of every token, [S, K] each."""
        weight, chosen = torch.topk(F.softmax(self.router(x), dim=-1, dtype=torch.float32), self.top_k, dim=-1)
        return (weight / weight.sum(-1, keepdim=True) if self.top_k > 1 else weight), chosen

    def loop(self, x):
        """Only the experts with tokens, one after the other."""
        weight, chosen = self.choose(x)
        weight, y = weight.to(x.dtype), torch.zeros_like(x)
        for index in torch.unique(chosen).tolist():
            token, choice = torch.where(chosen == index)
            rows = self.experts[index](x[token]) * weight[token, choice, None]
            y.index_add_(0, token, rows.to(y.dtype))
        return y

    def grouped(self, x):
        """Rows sorted by expert, and PyTorch's own grouped GEMM over them (bfloat16 on a GPU)."""
        weight, chosen = self.choose(x)
        order, ends = sorted_by_expert(chosen, len(self.experts))
        token = order // self.top_k
        up, gate, down = self.stacked()
        inner = grouped_product(x[token], up, ends)
        inner = F.gelu(inner) if gate is None else F.silu(grouped_product(x[token], gate, ends)) * inner
        rows = grouped_product(inner, down, ends) * weight.flatten()[order, None].to(x.dtype)
        return torch.zeros_like(x).index_add_(0, token, rows)

    def triton(self, x):
        """Triton kernels over rows in blocks of one expert; activation and sum over choices are PyTorch's."""
        import triton_moe

        if triton_moe.triton is None and DEVICE == "cuda":
            raise Missing("Triton is not installed for this python3")
        weight, chosen = self.choose(x)
        blocks = triton_moe.Blocks(chosen, len(self.experts))
        up, gate, down = (stack if stack is None else stack.transpose(1, 2) for stack in self.stacked())
        inner = triton_moe.product(x, up, blocks, self.top_k)
        inner = F.gelu(inner) if gate is None else F.silu(triton_moe.product(x, gate, blocks, self.top_k)) * inner
        rows = triton_moe.product(inner, down, blocks, 1, weight.flatten())
        return rows.view(len(x), self.top_k, -1).sum(1)

    def stacked(self):
        """Weights of all experts as [E, in, out], each [out, in] in memory; made once."""
        if self.stacks is None:
            names = ("up", "gate", "down")
            self.stacks = [
                None if getattr(self.experts[0], name) is None
                else torch.stack([getattr(expert, name).weight for expert in self.experts]).transpose(1, 2)
                for name in names
            ]
        return self.stacks

    def gate(self, x):
        """The one-hot combine tensor [S, E, C], and the dispatch mask that it makes."""
        tokens, experts = x.shape[0], len(self.experts)
        capacity = max(MINIMUM_CAPACITY, math.ceil(tokens / experts * CAPACITY_FACTOR * self.top_k))
        capacity = min(capacity, tokens)
        with torch.autocast(DEVICE, enabled=False):
            scores = F.softmax(self.router(x.float()), dim=-1)
        weight, chosen = torch.topk(scores, self.top_k, dim=-1)
        combine = combine_weights(weight, chosen, experts, capacity, self.top_k > 1)
        return combine, combine.bool()

    @staticmethod
    def dispatch(mask, x):
        return torch.einsum("sec,sm->ecm", mask.to(x.dtype), x)

    @staticmethod
    def combine(combine, outputs):
        return torch.einsum("sec,ecm->sm", combine.to(outputs.dtype), outputs)

    def einsum(self, x):
        """One-hot dispatch and combine tensors [S, E, C]; every expert computes its whole capacity."""
        combine, mask = self.gate(x)
        rows = self.dispatch(mask, x)
        outputs = torch.stack([expert(part) for expert, part in zip(self.experts, rows)])
        return self.combine(combine, outputs.to(x.dtype))


def rotated(x):
    """Rotary positions: rotates the halves of each head [batch, heads, length, size] by angles that grow with position."""
    length, half = x.shape[-2], x.shape[-1] // 2
    angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(half) / half)
    return turned(x, angles.cos().to(x.dtype), angles.sin().to(x.dtype))


def turned(x, cosine, sine):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1)


class Block(nn.Module):
    def __init__(self, hidden, heads, experts, style):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        if experts:
            self.moe = MoE(hidden, 4 * hidden, experts, 1, False, torch.float32, style)
        else:
            self.moe = None
            self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        batch, length, hidden = x.shape
        shape = (batch, length, 3, self.heads, hidden // self.heads)
        q, k, v = self.qkv(self.norm1(x)).view(shape).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, length, hidden))
        y = self.norm2(x)
        if self.moe is None:
            return x + self.down(F.gelu(self.up(y), approximate="tanh"))
        return x + self.moe(y.reshape(-1, hidden)).view(batch, length, hidden)


class LanguageModel(nn.Module):
    """The base preset: 6 layers, hidden 256, 8 heads, 16 experts on every other layer, tied output matrix."""

    LAYERS, HIDDEN, HEADS, LENGTH, EXPERTS, VOCABULARY = 6, 256, 8, 256, 16, 8192

    def __init__(self, style):
        super().__init__()
        self.tokens = nn.Embedding(self.VOCABULARY, self.HIDDEN)
        experts = [self.EXPERTS * (layer % 2) for layer in range(self.LAYERS)]
        self.blocks = nn.ModuleList(Block(self.HIDDEN, self.HEADS, count, style) for count in experts)
        self.norm = nn.LayerNorm(self.HIDDEN)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, ids):
        x = self.tokens(ids)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


def moe_layer(work, dtype):
    sizes = [work[name] for name in ("hidden", "expert_hidden", "experts", "top_k", "gated")]
    layers = [MoE(*sizes, dtype, work["style"]) for _ in range(work["copies"])]

    def over(tokens, batches):
        x = [torch.randn(tokens, work["hidden"]).to(dtype) for _ in range(batches)]

        def call(i):
            with torch.inference_mode():
                return layers[i % len(layers)](x[i % len(x)])

        return call

    return over


def moe_layer_training(work, dtype):
    """Float32 weights; bfloat16 by autocast, like in PyTorch training."""
    sizes = [work[name] for name in ("hidden", "expert_hidden", "experts", "top_k", "gated")]
    layer = MoE(*sizes, torch.float32, work["style"])

    def over(tokens, batches):
        x = [torch.randn(tokens, work["hidden"], requires_grad=True) for _ in range(batches)]
        gradient = torch.randn(tokens, work["hidden"])

        def call(i):
            with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
                y = layer(x[i % len(x)])
            y.float().backward(gradient)
            layer.zero_grad(set_to_none=True)
            x[i % len(x)].grad = None

        return call

    return over


def adapter_training(work, dtype):
    """All in one dtype: bfloat16 weights are not cast in each call, as autocast would."""
    sizes = [work[name] for name in ("hidden", "expert_hidden", "experts", "top_k", "gated")]
    layer = MoE(*sizes, dtype, "loop", AdaptedExpert)
    layer.router.requires_grad_(False)

    def over(tokens, batches):
        x = [torch.randn(tokens, work["hidden"]).to(dtype).requires_grad_() for _ in range(batches)]
        gradient = torch.randn(tokens, work["hidden"]).to(dtype)

        def call(i):
            layer(x[i % len(x)]).backward(gradient)
            layer.zero_grad(set_to_none=True)
            x[i % len(x)].grad = None

        return call

    return over


def train_step(work, dtype):
    model = LanguageModel(work["style"])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def over(tokens, batches):
        shape = (tokens // model.LENGTH, model.LENGTH + 1)
        ids = [torch.randint(0, model.VOCABULARY, shape) for _ in range(4)]

        def call(i):
            batch = ids[i % len(ids)]
            with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
                logits = model(batch[:, :-1])
                loss = F.cross_entropy(logits.float().view(-1, model.VOCABULARY), batch[:, 1:].reshape(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return call

    return over


def einsum_part(work, dtype):
    """DeepSpeed's gate with its tables [S, E, C], dispatch by the mask, or combine: one of the three."""
    layer = MoE(work["hidden"], 1, work["experts"], work["top_k"], False, dtype, "einsum")
    kind = work["kind"]

    def over(tokens, batches):
        x = [torch.randn(tokens, work["hidden"]).to(dtype) for _ in range(batches)]
        with torch.inference_mode():
            tables = [layer.gate(rows) for rows in x]
            outputs = [layer.dispatch(mask, rows) for (_, mask), rows in zip(tables, x)]

        def call(i):
            i %= len(x)
            with torch.inference_mode():
                if kind == "gate":
                    return layer.gate(x[i])
                return layer.dispatch(tables[i][1], x[i]) if kind == "dispatch" else layer.combine(tables[i][0], outputs[i])

        return call

    return over


def gate(work, dtype):
    """Eager: logits and softmax in float32, choices, and rows sorted by expert."""
    if work["style"] == "einsum":
        return einsum_part(work, dtype)
    router = nn.Linear(work["hidden"], work["experts"], bias=False)

    def over(tokens, batches):
        x = [torch.randn(tokens, work["hidden"]).to(dtype) for _ in range(batches)]

        def call(i):
            with torch.inference_mode():
                scores = F.softmax(router(x[i % len(x)].float()), dim=-1)
                weight, chosen = torch.topk(scores, work["top_k"], dim=-1)
                return weight / weight.sum(-1, keepdim=True), sorted_by_expert(chosen, work["experts"])

        return call

    return over


def grouped_gemm(work, dtype):
    """The experts' first matrix over equally many rows as ours: by torch._grouped_mm, or one dense product, by cuBLASLt on
    a GPU. All experts have equally many rows; without activation."""
    outputs = work["expert_hidden"] * (2 if work["gated"] else 1)
    dense = work["style"] == "cublaslt"
    if dense and DEVICE == "cuda":
        torch.backends.cuda.preferred_blas_library("cublaslt")
    shape = (outputs, work["hidden"]) if dense else (work["experts"], outputs, work["hidden"])
    weights = [torch.randn(shape).to(dtype) for _ in range(work["copies"])]

    def over(tokens, batches):
        rows = tokens * work["top_k"]
        x = torch.randn(rows, work["hidden"]).to(dtype)
        ends = (torch.arange(1, work["experts"] + 1) * rows // work["experts"]).to(torch.int32)

        def call(i):
            w = weights[i % len(weights)]
            with torch.inference_mode():
                return F.linear(x, w) if dense else grouped_product(x, w.transpose(1, 2), ends)

        return call

    return over


def attention(work, dtype):
    """Causal attention over one sequence, heads of 128: PyTorch's FlashAttention or the package flash_attn."""
    head = min(128, work["hidden"])

    def over(tokens, batches):
        q, k, v = (torch.randn(1, tokens, work["hidden"] // head, head).to(dtype) for _ in range(3))
        if work["style"] == "flash-attn":
            try:
                from flash_attn import flash_attn_func
            except ImportError:
                raise Missing("the package flash_attn is not installed for this python3") from None
            return lambda i: flash_attn_func(q, k, v, causal=True)
        from torch.nn.attention import SDPBackend, sdpa_kernel

        q, k, v = (values.transpose(1, 2) for values in (q, k, v))
        flash = dtype is torch.bfloat16  # the only dtype of FlashAttention here

        def call(i):
            with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION) if flash else nullcontext():
                return F.scaled_dot_product_attention(q, k, v, is_causal=True)

        return call

    return over


KINDS = {"gate": gate, "dispatch": einsum_part, "combine": einsum_part, "grouped-gemm": grouped_gemm, "attention": attention, "moe-layer": moe_layer,
         "moe-layer-training": moe_layer_training, "adapter-training": adapter_training, "train-step": train_step}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Current:
    """The current work: weights stay while only the tokens change."""

    weights_of = tokens_of = over = call = None
    calls = 0

    def run(self, work, tokens, batches, seconds):
        if self.weights_of != work:
            self.over = self.call = None  # frees the old weights before allocating new ones
            torch.set_num_threads(work["threads"])
            torch.manual_seed(1)
            self.over = KINDS[work["kind"]](work, DTYPES[work["dtype"]])
            self.weights_of, self.tokens_of = work, None
        if self.tokens_of != tokens:
            self.call, self.tokens_of = self.over(tokens, batches), tokens
        together = DEVICE == "cuda" and work["kind"] not in ("moe-layer-training", "adapter-training", "train-step")
        times, start, count = [], time.perf_counter(), 1
        end = start + seconds
        while not times or start < end:
            for _ in range(count):
                self.call(self.calls)
                self.calls += 1
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            now = time.perf_counter()
            times += [(now - start) * 1e3 / count] * count
            start = now
            if together:
                count = max(1, min(MOST_CALLS, int(GROUP_MS / times[-1])))
        return times


def main():
    torch.set_default_device(DEVICE)
    print(json.dumps({"torch": torch.__version__}), flush=True)
    current = Current()
    for line in sys.stdin:
        try:
            answer = {"ms": current.run(**json.loads(line))}
        except Missing as missing:
            answer = {"error": str(missing)}
        except Exception as error:  # pylint: disable=broad-except
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
