"""Makes the checkpoint of this folder by torch alone: the layout of Megatron-DeepSpeed, and the first logits of its model.

Two layers of width 8, the second with 2 experts behind a top-1 gate and a fixed MLP beside them (PR-MoE), float16,
two tensor ranks that share attention, the dense MLP, the vocabulary and the experts. Run: python make.py
"""
import argparse
import collections
import math
import os

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
HIDDEN, HEADS, INNER, CONTEXT, TOKENS, PADDED, RANKS, EXPERTS = 8, 2, 12, 6, 257, 272, 2, 2
torch.manual_seed(10)


def drawn(*shape, around=0.0):
    return (around + 0.4 * torch.randn(*shape)).half()


def norm():
    return {"weight": drawn(HIDDEN, around=1.0), "bias": drawn(HIDDEN)}


def mlp():
    return {"up": drawn(INNER, HIDDEN), "up_bias": drawn(INNER), "down": drawn(HIDDEN, INNER), "down_bias": drawn(HIDDEN)}


words, positions, final = drawn(PADDED, HIDDEN), drawn(CONTEXT, HIDDEN), norm()
layers = [
    {"first": norm(), "second": norm(), "qkv": drawn(3 * HIDDEN, HIDDEN), "qkv_bias": drawn(3 * HIDDEN),
     "dense": drawn(HIDDEN, HIDDEN), "dense_bias": drawn(HIDDEN), "mlp": mlp()} for _ in range(2)]
gate, coefficient, coefficient_bias = drawn(EXPERTS, HIDDEN).float(), drawn(2, HIDDEN), drawn(2)
experts = [mlp() for _ in range(EXPERTS)]


def logits(ids):
    def normalised(x, w):
        return torch.nn.functional.layer_norm(x, (HIDDEN,), w["weight"].double(), w["bias"].double(), 1e-5)

    def through(x, w):
        inner = x @ w["up"].double().T + w["up_bias"].double()
        return torch.nn.functional.gelu(inner, approximate="tanh") @ w["down"].double().T + w["down_bias"].double()

    count, size = len(ids), HIDDEN // HEADS
    x = words[ids].double() + positions[:count].double()
    for i, layer in enumerate(layers):
        # [S, heads, 3, size]: Megatron's checkpoint version 2 and later
        fused = normalised(x, layer["first"]) @ layer["qkv"].double().T + layer["qkv_bias"].double()
        q, k, v = fused.view(count, HEADS, 3, size).permute(2, 1, 0, 3)
        scores = (q @ k.transpose(1, 2) / math.sqrt(size)).masked_fill(torch.ones(count, count).triu(1).bool(), -1e9)
        attended = (scores.softmax(-1) @ v).permute(1, 0, 2).reshape(count, HIDDEN)
        x = x + attended @ layer["dense"].double().T + layer["dense_bias"].double()
        y = normalised(x, layer["second"])
        out = through(y, layer["mlp"])
        if i == 1:
            share = (y @ gate.double().T).softmax(-1)
            best = share.argmax(-1)
            routed = torch.stack([share[s, e] * through(y[s], experts[e]) for s, e in enumerate(best)])
            mix = (y @ coefficient.double().T + coefficient_bias.double()).softmax(-1)
            out = mix[:, :1] * routed + mix[:, 1:] * out
            print("experts of the tokens:", best.tolist())
        x = x + out
    return normalised(x, final) @ words[:TOKENS].double().T


def rows(t, rank):
    return t.chunk(RANKS, 0)[rank].clone()


def columns(t, rank):
    return t.chunk(RANKS, 1)[rank].clone()


def linears(prefix, w, rank):
    return {prefix + "dense_h_to_4h.weight": rows(w["up"], rank), prefix + "dense_h_to_4h.bias": rows(w["up_bias"], rank),
            prefix + "dense_4h_to_h.weight": columns(w["down"], rank), prefix + "dense_4h_to_h.bias": w["down_bias"]}


def encoder(rank):
    out = collections.OrderedDict()
    for i, layer in enumerate(layers):
        at = f"layers.{i}."
        for name, w in (("input_layernorm", layer["first"]), ("post_attention_layernorm", layer["second"])):
            out[at + name + ".weight"], out[at + name + ".bias"] = w["weight"], w["bias"]
        out[at + "self_attention.query_key_value.weight"] = rows(layer["qkv"], rank)
        out[at + "self_attention.query_key_value.bias"] = rows(layer["qkv_bias"], rank)
        out[at + "self_attention.dense.weight"] = columns(layer["dense"], rank)
        out[at + "self_attention.dense.bias"] = layer["dense_bias"]
        out.update(linears(at + ("mlp.mlp." if i == 1 else "mlp."), layer["mlp"], rank))
    out["layers.1.mlp.deepspeed_moe.gate.wg.weight"] = gate
    out["layers.1.mlp.coefficient.weight"], out["layers.1.mlp.coefficient.bias"] = coefficient, coefficient_bias
    out["final_layernorm.weight"], out["final_layernorm.bias"] = torch.nn.Parameter(final["weight"]), final["bias"]
    out._metadata = collections.OrderedDict({"": {"version": 1}})
    return out


args = argparse.Namespace(
    num_layers=2, hidden_size=HIDDEN, ffn_hidden_size=INNER, num_attention_heads=HEADS, num_key_value_heads=HEADS,
    max_position_embeddings=CONTEXT, padded_vocab_size=PADDED, make_vocab_size_divisible_by=8,
    tensor_model_parallel_size=RANKS, pipeline_model_parallel_size=1, layernorm_epsilon=1e-5, init_method_std=0.02,
    num_experts=[EXPERTS], expert_interval=2, mlp_type="residual", topk=1, moe_token_dropping=True,
    moe_train_capacity_factor=1.0, moe_eval_capacity_factor=1.0, moe_min_capacity=4, moe_loss_coeff=0.01,
    enable_expert_tensor_parallelism=True, bias_gelu_fusion=True, openai_gelu=False, onnx_safe=None, swiglu=False,
    untie_embeddings_and_output_weights=False, add_position_embedding=True, normalization="layernorm",
    add_bias_linear=True, params_dtype=torch.float16, seed=1234, lr=1e-4, data_path=["text"], num_experts_switch=None)

tag = os.path.join(HERE, "global_step3")
os.makedirs(tag, exist_ok=True)
for rank in range(RANKS):
    embedding = {"word_embeddings": {"weight": rows(words, rank)}, "position_embeddings": {"weight": positions}}
    torch.save({
        "module": {"language_model": {"embedding": embedding, "encoder": encoder(rank)}},
        "num_experts": [EXPERTS], "sparse_tensor_module_names": set(), "lr_scheduler": {"num_steps": 3},
        "global_steps": 3, "mp_world_size": RANKS, "dp_world_size": 1, "iteration": 3, "checkpoint_version": 3.0,
        "args": args, "rng_state": [{"torch_rng_state": torch.zeros(4, dtype=torch.uint8)}],
    }, os.path.join(tag, f"mp_rank_{rank:02d}_model_states.pt"))
    for expert in range(EXPERTS):
        prefix = f"language_model.encoder.layers.1.mlp.deepspeed_moe.experts.deepspeed_experts.{expert}."
        torch.save(linears(prefix, experts[expert], rank),
                   os.path.join(tag, f"layer_0_expert_{expert}_mp_rank_{rank:02d}_model_states.pt"))
with open(os.path.join(HERE, "latest"), "w") as latest:
    latest.write("global_step3")
ids = [104, 105, 33, 104, 256, 0]
with open(os.path.join(HERE, "logits.txt"), "w") as out:
    out.write(" ".join(map(str, ids)) + "\n")
    for row in logits(ids):
        out.write(" ".join(f"{v:.6f}" for v in row[:32].tolist()) + "\n")
