package panamoe.model;

import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.MoeConfig;
import panamoe.moe.MoeLayer;
import panamoe.nn.Attention;
import panamoe.nn.AttentionTables;
import panamoe.nn.Cost;
import panamoe.nn.Mlp;
import panamoe.nn.Norm;
import panamoe.nn.Sequences;
import panamoe.nn.Work;
import panamoe.op.AddOp;
import panamoe.op.ComputeEvent;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.tensor.Tensor;

/** One transformer layer: {@code x + attention(norm(x))}, then {@code + MLP or MoE(norm(.))}. */
final class Block {
  private final String place;
  private final int hidden;
  private final Norm attentionNorm;
  private final Attention attention;
  private final Norm mlpNorm;
  private final Mlp mlp;
  private final MoeLayer moe;

  Block(Declarations at, int layer, int hidden, BlockConfig config) {
    this.place = "layer " + layer;
    this.hidden = hidden;
    this.attentionNorm = new Norm(at.in("attention_norm"), config.attentionNorm(), hidden);
    this.attention = Attention.of(at.in("attention"), layer, hidden, config.attention());
    this.mlpNorm = new Norm(at.in("mlp_norm"), config.feedForwardNorm(), hidden);
    switch (config.feedForward()) {
      case DenseConfig dense -> {
        this.mlp = new Mlp(at.in("mlp"), hidden, dense);
        this.moe = null;
      }
      case MoeConfig experts -> {
        this.mlp = null;
        this.moe = new MoeLayer(at.in("moe"), layer, hidden, experts);
      }
    }
  }

  Tensor forward(Pass pass, Tensor x, Sequences sequences, AttentionTables tables, Tensor used) {
    Tensor attended =
        ComputeEvent.around(
            pass,
            place + " attention",
            () -> attention.forward(pass, attentionNorm.forward(pass, x), sequences, tables));
    Tensor middle = AddOp.forward(pass, x, attended);
    Tensor normed = mlpNorm.forward(pass, middle);
    return moe == null
        ? AddOp.forward(
            pass,
            middle,
            ComputeEvent.around(pass, place + " MLP", () -> mlp.forward(pass, normed)))
        : moe.forward(pass, normed, middle, used, sequences.length());
  }

  Cost cost(Work work) {
    Cost first = attentionNorm.cost(work).then(attention.cost(work)).then(Cost.sum(work, hidden));
    Cost second = moe == null ? mlp.cost(work).then(Cost.sum(work, hidden)) : moe.cost(work);
    Cost skipped = Cost.activations(work, 0, work.bytes(hidden));
    Cost cost = first.then(mlpNorm.cost(work)).then(second).beside(skipped);
    return work.recompute() ? cost.recomputed(work.bytes(hidden)) : cost;
  }
}
