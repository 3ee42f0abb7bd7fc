"""Makes the adapters of this folder, in PEFT's layout, and the logits of recorded models with them.

PEFT itself is not needed: names and shapes follow its description, and logits are those of W + scale * B A in float64.
Stacked experts are merged by the contraction that PEFT's ParamWrapper computes. Run: python3 make.py LAB_GOLDEN_HF
"""
import json
import math
import os
import sys

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
IDS = [3, 17, 42, 99, 5, 71, 8]
TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64}
NAMES = {dtype: name for name, dtype in TYPES.items()}
torch.manual_seed(46)


def read(file):
    data = bytearray(open(file, "rb").read())
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, about in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            first, end = about["data_offsets"]
            tensors[name] = torch.frombuffer(data[begin + first : begin + end], dtype=TYPES[about["dtype"]])
            tensors[name] = tensors[name].view(about["shape"])
    return tensors


def write(file, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        end = at + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    with open(file, "wb") as out:
        out.write(len(words).to_bytes(8, "little") + words)
        for tensor in tensors.values():
            out.write(tensor.contiguous().view(torch.uint8).numpy().tobytes())


def norm(x, weight):
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * weight


def turned(x, theta):
    half = x.shape[-1] // 2
    angles = torch.arange(len(x), dtype=torch.float64)[:, None] * theta ** (-torch.arange(half) / half)
    cosine, sine = angles.cos()[:, None], angles.sin()[:, None]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)


def logits(config, w):
    """Qwen3, dense or with experts."""
    size, heads, groups = config["head_dim"], config["num_attention_heads"], config["num_key_value_heads"]
    x = w["model.embed_tokens.weight"][IDS]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        y = norm(x, w[at + "input_layernorm.weight"])
        q, k, v = ((y @ w[f"{at}self_attn.{n}_proj.weight"].T).view(len(IDS), -1, size) for n in "qkv")
        q = turned(norm(q, w[at + "self_attn.q_norm.weight"]), config["rope_theta"])
        k = turned(norm(k, w[at + "self_attn.k_norm.weight"]), config["rope_theta"])
        k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
        scores = scores.masked_fill(torch.ones(len(IDS), len(IDS)).triu(1).bool(), -math.inf)
        y = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).reshape(len(IDS), -1)
        x = x + y @ w[at + "self_attn.o_proj.weight"].T
        y = norm(x, w[at + "post_attention_layernorm.weight"])
        if at + "mlp.gate.weight" not in w:
            inner = F.silu(y @ w[at + "mlp.gate_proj.weight"].T) * (y @ w[at + "mlp.up_proj.weight"].T)
            x = x + inner @ w[at + "mlp.down_proj.weight"].T
            continue
        weight, chosen = torch.topk((y @ w[at + "mlp.gate.weight"].T).softmax(-1), config["num_experts_per_tok"])
        rows = []
        for s in range(len(IDS)):
            gate, up = (w[at + "mlp.experts.gate_up_proj"][chosen[s]] @ y[s]).chunk(2, -1)
            down = torch.einsum("emf,ef->em", w[at + "mlp.experts.down_proj"][chosen[s]], F.silu(gate) * up)
            rows.append(weight[s] @ down)
        x = x + torch.stack(rows)
    return norm(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def weights(folder):
    """In float64, with stacks of experts, as in transformers 5."""
    w = {name: tensor.double() for name, tensor in read(os.path.join(folder, "model.safetensors")).items()}
    for name in [name for name in w if name.endswith("experts.0.gate_proj.weight")]:
        at = name[: -len("0.gate_proj.weight")]
        count = sum(n.startswith(at) and n.endswith("gate_proj.weight") for n in w)
        each = [[w.pop(f"{at}{e}.{p}_proj.weight") for p in ("gate", "up", "down")] for e in range(count)]
        w[at + "gate_up_proj"] = torch.stack([torch.cat(m[:2]) for m in each])
        w[at + "down_proj"] = torch.stack([m[2] for m in each])
    return w


def drawn(*shape):
    return (0.3 * torch.randn(*shape)).float()


class Adapter:
    def __init__(self, weights, config):
        self.weights, self.config, self.tensors = weights, config, {}

    def scale(self, rank, alpha):
        return alpha / math.sqrt(rank) if self.config["use_rslora"] else alpha / rank

    def module(self, name, rank, alpha, into=None, rows=slice(None)):
        """A linear module; or one of an expert, whose matrix is in rows of a part of a stack."""
        matrix = self.weights[name + ".weight"] if into is None else into[rows]
        a, b = drawn(rank, matrix.shape[1]), drawn(matrix.shape[0], rank)
        self.tensors[f"base_model.model.{name}.lora_A.weight"] = a
        self.tensors[f"base_model.model.{name}.lora_B.weight"] = b
        matrix += self.scale(rank, alpha) * b.double() @ a.double()

    def parameter(self, name, wrapped, rank, alpha):
        """A stack of experts, as a parameter of a module."""
        stack = self.weights[name]
        experts, rows, columns = stack.shape
        a, b = drawn(rank * experts, columns), drawn(rows, rank * experts)
        module = name.rpartition(".")[0] + (".base_layer" if wrapped else "")
        self.tensors[f"base_model.model.{module}.lora_A.weight"] = a
        self.tensors[f"base_model.model.{module}.lora_B.weight"] = b
        parts = a.double().reshape(experts, rank, columns), b.double().reshape(rows, rank, experts)
        stack += self.scale(rank, alpha) * torch.einsum("eri,ore->eoi", *parts)

    def write(self, name, keys):
        folder = os.path.join(HERE, name)
        os.makedirs(folder, exist_ok=True)
        write(os.path.join(folder, "adapter_model.safetensors"), self.tensors)
        about = {"peft_type": "LORA", "bias": "none", "lora_dropout": 0.0, **keys}
        with open(os.path.join(folder, "adapter_config.json"), "w") as out:
            json.dump(about, out, indent=2)
            out.write("\n")
        model = {"ids": torch.tensor(IDS), "logits": logits(self.config, self.weights).float()}
        write(os.path.join(folder, "expected.safetensors"), model)


def adapter(folder, rslora):
    config = json.load(open(os.path.join(folder, "config.json")))
    return Adapter(weights(folder), {**config, "use_rslora": rslora})


def check(folder):
    """The arithmetic here is transformers', as far as the models go."""
    global IDS
    golden, own = read(os.path.join(folder, "golden.safetensors")), IDS
    IDS = golden["input_ids"][0].tolist()
    config = json.load(open(os.path.join(folder, "config.json")))
    error = (logits(config, weights(folder)) - golden["logits"][0]).abs().max().item()
    IDS = own
    print(folder, "without an adapter:", error)
    assert error < 1e-4


dense, moe = (os.path.join(sys.argv[1], name) for name in ("qwen3_c", "qwen3_moe_b_bf16"))
check(dense)
check(moe)

it = adapter(dense, True)
for layer in range(3):
    for name in ("q_proj", "v_proj"):
        it.module(f"model.layers.{layer}.self_attn.{name}", 2, 3)
    it.module(f"model.layers.{layer}.self_attn.o_proj", 3, 5)
    it.module(f"model.layers.{layer}.mlp.up_proj", 2, 3)
it.module("model.layers.0.mlp.gate_proj", 2, 3)
it.module("model.layers.1.mlp.down_proj", 2, 3)
it.module("lm_head", 2, 3)
it.write("dense", {
    "r": 2, "lora_alpha": 3, "use_rslora": True, "rank_pattern": {"o_proj": 3}, "alpha_pattern": {"o_proj": 5},
    "target_modules": ["q_proj", "v_proj", "o_proj", "up_proj", "gate_proj", "down_proj", "lm_head"]})

at = "model.layers.1.mlp."
it = adapter(moe, False)
for layer in range(3):
    it.module(f"model.layers.{layer}.self_attn.q_proj", 2, 4)
it.module(at + "gate", 2, 4)
it.parameter(at + "experts.gate_up_proj", True, 2, 4)
it.parameter(at + "experts.down_proj", False, 2, 4)
it.write("stacked", {
    "r": 2, "lora_alpha": 4, "use_rslora": False, "target_modules": ["q_proj"],
    "target_parameters": ["mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"]})

it = adapter(moe, False)
it.module(at + "gate", 2, 4)
for e in (0, 5, 15):
    up, down = (it.weights[at + "experts." + name][e] for name in ("gate_up_proj", "down_proj"))
    it.module(f"{at}experts.{e}.gate_proj", 2, 4, up, slice(0, len(up) // 2))
    it.module(f"{at}experts.{e}.up_proj", 2, 4, up, slice(len(up) // 2, None))
    it.module(f"{at}experts.{e}.down_proj", 2, 4, down)
it.write("experts", {
    "r": 2, "lora_alpha": 4, "use_rslora": False, "target_modules": ["gate", "gate_proj", "up_proj", "down_proj"]})
