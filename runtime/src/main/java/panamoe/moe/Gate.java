package panamoe.moe;

import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.nn.Cost;
import panamoe.nn.Linear;
import panamoe.nn.Work;
import panamoe.op.BatchLossOp;
import panamoe.op.GateOp;
import panamoe.op.JitterOp;
import panamoe.op.Pass;
import panamoe.op.SequenceLossOp;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.Tensor;

/**
 * The router, a linear map or cosines, in FLOAT32 whatever the model computes in, and the choice of
 * experts.
 */
public final class Gate {
  private static final float JITTER = 0.01f;

  private final GateConfig config;
  private final int experts;
  private final int hidden;
  private final Linear linear;
  private final CosineRouter cosine;
  private final Parameter correction;

  /**
   * Declares {@code weight} [E, M] and, where the config has it, {@code bias} [E] of the logits, or
   * the parts of a cosine router; and, where the config has it, {@code correction} [E], which is
   * added to scores for the choice alone and gets no gradient.
   */
  public Gate(Declarations at, int hidden, int experts, GateConfig config) {
    this.config = config;
    this.experts = experts;
    this.hidden = hidden;
    Parameter.Part part = Parameter.Part.ROUTER;
    if (config.cosine() == null) {
      this.linear = Linear.whole(at, part, hidden, experts, config.routerBias());
      this.cosine = null;
    } else {
      this.linear = null;
      this.cosine = new CosineRouter(at, hidden, experts, config.cosine());
    }
    this.correction =
        config.choice().correctionBias()
            ? at.vector("correction", part, Initialization.ZERO, Slice.WHOLE, experts)
            : null;
  }

  /**
   * Routes by the config; random numbers (jitter, Gumbel noise, priorities) are drawn in training
   * only.
   *
   * @param x [S, M]
   * @param used UINT8 [S] or null: 0 marks padding
   * @param sequence tokens of a sequence, over which a loss may be taken; divides S; 0: no such
   *     loss
   */
  public Routes forward(Pass pass, Tensor x, Tensor used, long sequence) {
    Tensor input = x;
    Tensor noise = null;
    Tensor priority = null;
    if (pass.training()) {
      switch (config.choice().noise()) {
        case NONE -> {}
        case JITTER -> input = JitterOp.forward(pass, x, jitterFactors(pass, x));
        case GUMBEL, GUMBEL_FROM_SECOND -> noise = gumbel(pass, x.size(0));
      }
      if (config.capacity().random()) {
        priority = pass.uniform(x.size(0), experts);
      }
    }
    return route(pass, input, used, sequence, noise, priority);
  }

  /**
   * Routes x [S, M] with random numbers that the caller drew.
   *
   * @param sequence tokens of a sequence, over which a loss may be taken; divides S; 0: no such
   *     loss
   * @param noise FLOAT32 [S, E] or null
   * @param priority FLOAT32 [S, E] or null: ignored where tokens have it by their best score
   */
  public Routes route(
      Pass pass, Tensor x, Tensor used, long sequence, Tensor noise, Tensor priority) {
    Tensor logits = cosine == null ? linear.forwardFloat32(pass, x) : cosine.forward(pass, x);
    GateKernels.Inputs inputs =
        new GateKernels.Inputs(logits, used, Parameter.valueOf(correction), noise, priority);
    GateSettings settings = config.settings(x.size(0), experts, pass.training());
    if (config.capacity().byBestScore()) {
      inputs = BatchPriority.among(pass, settings, inputs);
    }
    boolean perSequence = Boolean.TRUE.equals(config.loss().perSequence());
    float auxiliary = (float) config.loss().auxiliary() * pass.share();
    float ofBatch = perSequence ? 0 : auxiliary;
    float z = (float) config.loss().z() * pass.share();
    Routes routes =
        pass.batch().size() == 1
            ? GateOp.forward(pass, settings, inputs, ofBatch, z)
            : BatchLossOp.forward(pass, settings, inputs, ofBatch, z);
    if (perSequence && sequence > 0) {
      SequenceLossOp.forward(pass, settings, logits, routes, sequence, auxiliary);
    }
    return routes;
  }

  /** The cost of {@link #forward}. */
  public Cost cost(Work work) {
    long tokens = work.tokens();
    double drawn = 0;
    drawn += config.capacity().byBestScore() ? experts : 0;
    if (work.training()) {
      drawn += config.capacity().random() ? experts : 0;
      drawn +=
          switch (config.choice().noise()) {
            case NONE -> 0;
            case JITTER -> 2.0 * hidden; // the factors and the product
            case GUMBEL, GUMBEL_FROM_SECOND -> experts;
          };
    }
    double tables = Routes.bytes(tokens, experts, config.topK());
    return (cosine == null ? linear.costFloat32(work) : cosine.cost(work))
        .then(Cost.weights(work, correction))
        .then(Cost.activations(work, tables + work.bytes32(drawn), 0));
  }

  private static Tensor jitterFactors(Pass pass, Tensor x) {
    Tensor factors = pass.uniform(x.shape());
    for (long i = 0, count = factors.count(); i < count; i++) {
      factors.setFloat(i, 1 - JITTER + 2 * JITTER * factors.getFloat(i));
    }
    return factors;
  }

  /** Standard Gumbel noise, {@code -log(-log(u))}. */
  private Tensor gumbel(Pass pass, long tokens) {
    Tensor noise = pass.uniform(tokens, experts);
    for (long i = 0, count = noise.count(); i < count; i++) {
      double u = Math.max(noise.getFloat(i), Float.MIN_NORMAL);
      noise.setFloat(i, (float) -Math.log(-Math.log(u)));
    }
    return noise;
  }
}
