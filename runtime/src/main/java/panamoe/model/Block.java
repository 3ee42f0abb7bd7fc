package panamoe.model;

import panamoe.moe.MoeLayer;
import panamoe.nn.FeedForward;
import panamoe.nn.Norm;
import panamoe.nn.RotaryTable;
import panamoe.nn.SelfAttention;
import panamoe.nn.Sequences;
import panamoe.op.AddOp;
import panamoe.op.ComputeEvent;
import panamoe.op.Pass;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;

/** One transformer layer: {@code x + attention(norm(x))}, then {@code + MLP or MoE(norm(.))}. */
final class Block {
  private final String place;
  private final Norm attentionNorm;
  private final SelfAttention attention;
  private final Norm mlpNorm;
  private final FeedForward mlp;
  private final MoeLayer moe;

  Block(ParameterStore store, ModelConfig config, int layer) {
    String name = "layers." + layer;
    this.place = "layer " + layer;
    float deviation = (float) config.initialDeviation();
    // The sum of 2 * layers branches keeps the residual stream's variance if each writes with 1 /
    // sqrt of it (GPT-2).
    float outputDeviation = (float) (deviation / Math.sqrt(2.0 * config.layers()));
    this.attentionNorm = new Norm(store, name + ".attention_norm", config.norm(), config.hidden());
    this.attention =
        new SelfAttention(
            store,
            name + ".attention",
            layer,
            config.hidden(),
            config.heads(),
            config.keyValueHeads(),
            config.bias(),
            deviation,
            outputDeviation);
    this.mlpNorm = new Norm(store, name + ".mlp_norm", config.norm(), config.hidden());
    if (config.experts().get(layer) == 0) {
      this.mlp =
          new FeedForward(
              store,
              name + ".mlp",
              config.hidden(),
              config.feedForward(),
              config.activation(),
              config.bias(),
              deviation,
              outputDeviation);
      this.moe = null;
    } else {
      this.mlp = null;
      this.moe =
          new MoeLayer(store, name + ".moe", layer, config.moe(layer), deviation, outputDeviation);
    }
  }

  Tensor forward(Pass pass, Tensor x, Sequences sequences, RotaryTable rotary, Tensor used) {
    Tensor attended =
        ComputeEvent.around(
            pass,
            place + " attention",
            () -> attention.forward(pass, attentionNorm.forward(pass, x), sequences, rotary));
    Tensor middle = AddOp.forward(pass, x, attended);
    Tensor normed = mlpNorm.forward(pass, middle);
    return moe == null
        ? AddOp.forward(
            pass,
            middle,
            ComputeEvent.around(pass, place + " MLP", () -> mlp.forward(pass, normed)))
        : moe.forward(pass, normed, middle, used);
  }
}
