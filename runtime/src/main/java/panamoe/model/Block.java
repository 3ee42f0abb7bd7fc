package panamoe.model;

import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.EncoderConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.moe.MoeLayer;
import panamoe.nn.Attention;
import panamoe.nn.AttentionTables;
import panamoe.nn.Cost;
import panamoe.nn.CrossAttention;
import panamoe.nn.Mlp;
import panamoe.nn.Norm;
import panamoe.nn.Sequences;
import panamoe.nn.Work;
import panamoe.op.AddOp;
import panamoe.op.ComputeEvent;
import panamoe.op.Pass;
import panamoe.op.ScaleOp;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.Tensor;

/**
 * One transformer layer: {@code x + attention(norm(x))}, with an encoder {@code +
 * cross-attention(norm(.))}, then {@code + MLP or MoE(norm(.))}.
 */
final class Block {
  private final String place;
  private final int hidden;
  private final Double outputScale; // null: 1
  private final Parameter scale; // of the output; null: none
  private final Norm attentionNorm; // null where only outputs are normalised, as mlpNorm
  private final Norm attentionOutputNorm; // null where only inputs are, as mlpOutputNorm
  private final Attention attention;
  private final Norm crossNorm; // null without an encoder
  private final CrossAttention cross;
  private final Norm mlpNorm;
  private final Norm mlpOutputNorm;
  private final Mlp mlp;
  private final MoeLayer moe;

  /**
   * @param place its name in messages
   * @param layer its index in the cache
   * @param encoded whether it has cross-attention
   */
  Block(Declarations at, String place, int layer, int hidden, BlockConfig config, boolean encoded) {
    this.place = place;
    this.hidden = hidden;
    this.outputScale = config.outputScale();
    NormConfig first = config.attentionNorm();
    NormConfig second = config.feedForwardNorm();
    boolean inputs = config.normsInputs();
    boolean outputs = config.normsOutputs();
    this.attentionNorm = inputs ? new Norm(at.in("attention_norm"), first, hidden) : null;
    this.attention = Attention.of(at.in("attention"), layer, hidden, config.attention());
    this.attentionOutputNorm =
        outputs ? new Norm(at.in("attention_output_norm"), first, hidden) : null;
    this.crossNorm = encoded ? new Norm(at.in("cross_norm"), first, hidden) : null;
    this.cross =
        encoded
            ? new CrossAttention(
                at.in("cross"), layer, hidden, EncoderConfig.cross(config.attention()))
            : null;
    this.mlpNorm =
        config.normsFeedForwardInput() ? new Norm(at.in("mlp_norm"), second, hidden) : null;
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
    this.mlpOutputNorm = outputs ? new Norm(at.in("mlp_output_norm"), second, hidden) : null;
    this.scale =
        config.hasScale()
            ? at.vector("scale", Parameter.Part.NORM, Initialization.ONE, Slice.WHOLE, 1)
            : null;
  }

  /** The MoE layer; null in a dense block. */
  MoeLayer moe() {
    return moe;
  }

  Tensor forward(Pass pass, Tensor x, Sequences sequences, AttentionTables tables, Tensor used) {
    Tensor y = unscaled(pass, x, sequences, tables, used);
    // The host reads the factor, for which a GPU waits; it gets no gradient.
    return ScaleOp.forward(pass, y, scale == null ? null : (double) scale.value().getFloat(0));
  }

  private Tensor unscaled(
      Pass pass, Tensor x, Sequences sequences, AttentionTables tables, Tensor used) {
    Tensor attended =
        ComputeEvent.around(
            pass,
            place + " attention",
            () -> attention.forward(pass, normed(pass, attentionNorm, x), sequences, tables));
    Tensor own = AddOp.forward(pass, x, outputScale, normed(pass, attentionOutputNorm, attended));
    Tensor middle = cross == null ? own : AddOp.forward(pass, own, read(pass, own, sequences));
    Tensor input = normed(pass, mlpNorm, middle);
    if (addsOwnSkip()) {
      return moe.forward(pass, input, middle, used, sequences.length());
    }
    Tensor output =
        moe == null
            ? ComputeEvent.around(pass, place + " MLP", () -> mlp.forward(pass, input))
            : moe.forward(pass, input, null, used, sequences.length());
    return AddOp.forward(pass, middle, outputScale, normed(pass, mlpOutputNorm, output));
  }

  /** Whether the experts' combine adds their output to x, with neither norm nor scale between. */
  private boolean addsOwnSkip() {
    return moe != null && mlpOutputNorm == null && outputScale == null;
  }

  private static Tensor normed(Pass pass, Norm norm, Tensor x) {
    return norm == null ? x : norm.forward(pass, x);
  }

  private static Cost cost(Norm norm, Work work) {
    return norm == null ? Cost.NONE : norm.cost(work);
  }

  /** The cross-attention's keys and values. */
  private Tensor read(Pass pass, Tensor x, Sequences sequences) {
    if (!(sequences instanceof Sequences.Running running) || running.source() == null) {
      throw new UnsupportedOperationException(
          "a model with an encoder writes behind a text that the encoder has read");
    }
    return ComputeEvent.around(
        pass,
        place + " attention to the encoded text",
        () -> cross.forward(pass, crossNorm.forward(pass, x), running.source()));
  }

  /** Stores the cross-attention's keys and values of an encoded sequence. */
  void keep(Pass pass, Tensor encoded, Sequences.Source at) {
    cross.keep(pass, encoded, at);
  }

  Cost cost(Work work) {
    Cost first =
        cost(attentionNorm, work)
            .then(attention.cost(work))
            .then(cost(attentionOutputNorm, work))
            .then(Cost.sum(work, hidden));
    if (cross != null) {
      first = first.then(crossNorm.cost(work)).then(cross.cost(work)).then(Cost.sum(work, hidden));
    }
    Cost second;
    if (addsOwnSkip()) {
      second = moe.cost(work);
    } else {
      second = moe == null ? mlp.cost(work) : moe.costWithoutSkip(work);
      second = second.then(cost(mlpOutputNorm, work)).then(Cost.sum(work, hidden));
    }
    if (scale != null) {
      second = second.then(Cost.weights(work, scale)).then(Cost.scaled(work, 1.0, hidden));
    }
    Cost skipped = Cost.activations(work, 0, work.bytes(hidden));
    Cost cost = first.then(cost(mlpNorm, work)).then(second).parallel(skipped);
    if (!work.recompute()) {
      return cost;
    }
    return cost.recomputed(work.bytes(hidden) + (moe == null ? 0 : moe.keptBytes(work)));
  }
}
