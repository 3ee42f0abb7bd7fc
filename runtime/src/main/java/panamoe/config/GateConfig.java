package panamoe.config;

import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * How a layer's gate chooses experts. Exact rules: docs/gating.md.
 *
 * @param topK K, experts a token is sent to
 * @param routerBias whether the router's logits have a bias
 * @param score how logits become scores
 * @param choice which experts a token chooses
 * @param weight the factor of an expert's output
 * @param capacity limit of an expert's routes
 * @param loss what balances the experts
 * @param cosine how logits come from cosines; null: a linear map of the token
 */
public record GateConfig(
    int topK,
    boolean routerBias,
    Score score,
    Choice choice,
    RouteWeight weight,
    Capacity capacity,
    Loss loss,
    @Omittable Cosine cosine) {

  /** Largest k of the kernels. */
  public static final int MAX_TOP_K = 16;

  /** Random exploration during training; evaluation is always deterministic. */
  public enum Noise {
    NONE,
    /**
     * The gate's input is multiplied by a uniform number in 0.99 to 1.01 (Switch, DeepSpeed
     * "Jitter").
     */
    JITTER,
    /** Gumbel noise on the logits of every choice (DeepSpeed "RSample"). */
    GUMBEL,
    /** Gumbel noise from the second choice on (DeepSpeed top-2 second-expert sampling). */
    GUMBEL_FROM_SECOND
  }

  /**
   * How a token chooses its experts by score.
   *
   * @param groups number of equal groups; experts are chosen within the best {@code chosenGroups}
   *     of them (DeepSeek-V2, V3); 1: no groups
   * @param groupScore the rank of a group
   * @param correctionBias whether a bias for each expert is added to the scores for the choice only
   *     (DeepSeek-V3)
   * @param noise randomness of the choice, in training only
   */
  public record Choice(
      int groups, int chosenGroups, GroupScore groupScore, boolean correctionBias, Noise noise) {
    /** The best of all experts. */
    public static final Choice BEST = new Choice(1, 1, GroupScore.MAXIMUM, false, Noise.NONE);

    public Choice {
      Require.size("groups", groups, MoeConfig.MAX_EXPERTS);
      Require.size("chosenGroups", chosenGroups, groups);
      Require.present("groupScore", groupScore);
      Require.present("noise", noise);
      Require.that(
          !correctionBias || noise != Noise.GUMBEL && noise != Noise.GUMBEL_FROM_SECOND,
          "a choice has a correctionBias or Gumbel noise, not both");
    }

    /** The best of all experts, with noise. */
    public static Choice with(Noise noise) {
      return new Choice(1, 1, GroupScore.MAXIMUM, false, noise);
    }
  }

  /**
   * The factor of an expert's output: {@code scale * score / max(sum + offset, epsilon)}.
   *
   * @param normalization the sum's terms; {@link Normalization#RAW} has no denominator
   * @param epsilon lower bound of the denominator
   * @param offset added to the sum (1e-20 in DeepSeek-V3)
   * @param scale routed_scaling_factor
   * @param place where the weight is applied; null: at the expert's output
   * @param sparseMixer a raw share is of the experts that no earlier choice has, and whose logits
   *     are below the choice's by at most this part of the larger of it and their magnitude
   *     (Phi-MoE's SparseMixer); null: of all experts
   * @param perExpert whether a learned factor of each expert scales its weights (Gemma 4); null: no
   */
  public record RouteWeight(
      Normalization normalization,
      double epsilon,
      double offset,
      double scale,
      @Omittable Place place,
      @Omittable Double sparseMixer,
      @Omittable Boolean perExpert) {
    /** Where a route's weight is applied. */
    public enum Place {
      /** At the expert's input (Tutel without {@code is_postscore}, Llama 4). */
      INPUT,
      OUTPUT
    }

    public RouteWeight {
      Require.present("normalization", normalization);
      Require.notNegative("epsilon", epsilon);
      Require.notNegative("offset", offset);
      Require.positiveFloat("scale", scale);
      if (sparseMixer != null) {
        Require.notNegative("sparseMixer", sparseMixer);
        Require.that(
            normalization == Normalization.RAW,
            "normalization is %s, but weights with sparseMixer are RAW shares",
            normalization);
      }
    }

    /** At the expert's output. */
    public RouteWeight(Normalization normalization, double epsilon, double offset, double scale) {
      this(normalization, epsilon, offset, scale, null, null, null);
    }

    /** This weight at another place. */
    public RouteWeight at(Place other) {
      return new RouteWeight(normalization, epsilon, offset, scale, other, sparseMixer, perExpert);
    }

    /** This weight, by the rule of SparseMixer. */
    public RouteWeight ofSparseMixer(double other) {
      return new RouteWeight(normalization, epsilon, offset, scale, place, other, perExpert);
    }

    /** This weight, times a learned factor of the expert. */
    public RouteWeight timesFactors() {
      return new RouteWeight(normalization, epsilon, offset, scale, place, sparseMixer, true);
    }

    /** Whether each expert has a learned factor. */
    public boolean hasFactors() {
      return Boolean.TRUE.equals(perExpert);
    }

    /** Without offset and scale; the denominator is at least float32's epsilon. */
    public static RouteWeight of(Normalization normalization) {
      return new RouteWeight(normalization, Math.ulp(1f), 0, 1);
    }

    private RouteWeight scaledBy(double factor) {
      return new RouteWeight(
          normalization, epsilon, offset, scale * factor, place, sparseMixer, perExpert);
    }
  }

  /**
   * The routes that an expert keeps: {@code max(ceil(S/E * k * |factor|), minimum)}.
   *
   * @param policy which routes are dropped; {@link DropPolicy#DROPLESS} keeps every route and
   *     ignores factors and minimum; {@link DropPolicy#PRIORITY} is for training, and evaluation
   *     keeps the most probable routes
   * @param factor in training, relative to an even split of all routes; its sign, with which Tutel
   *     bounds the capacity by the fullest queue, is ignored
   * @param evaluationFactor in evaluation
   * @param minimum lower bound
   * @param queueOrder order of an expert's queue
   */
  public record Capacity(
      DropPolicy policy,
      double factor,
      double evaluationFactor,
      int minimum,
      QueueOrder queueOrder) {
    /** Every route is kept. */
    public static final Capacity DROPLESS =
        new Capacity(DropPolicy.DROPLESS, 1, 1, 0, QueueOrder.TOKEN_MAJOR);

    public Capacity {
      Require.present("policy", policy);
      Require.notZero("factor", factor);
      Require.notZero("evaluationFactor", evaluationFactor);
      Require.notNegative("minimum", minimum);
      Require.present("queueOrder", queueOrder);
    }

    /** This capacity with another policy. */
    public Capacity by(DropPolicy other) {
      return new Capacity(other, factor, evaluationFactor, minimum, queueOrder);
    }
  }

  /**
   * Losses, by their factors in the objective, and the correction bias.
   *
   * @param overAllChoices whether the auxiliary loss counts all k choices, or the first only
   * @param auxiliary factor of the load balancing loss
   * @param z factor of the z loss (ST-MoE)
   * @param perSequence whether the auxiliary loss is per sequence (DeepSeek-V3), with scores
   *     normalised to a sum of 1, not per batch; null: false
   * @param biasRate change of an expert's correction bias per optimizer step, against its load
   *     (DeepSeek-V3); null: 0
   * @param acrossLayers whether this layer joins one auxiliary loss over the tokens of several
   *     layers, like transformers', instead of its own; null: false
   */
  public record Loss(
      boolean overAllChoices,
      double auxiliary,
      double z,
      @Omittable Boolean perSequence,
      @Omittable Double biasRate,
      @Omittable Boolean acrossLayers) {
    public Loss {
      Require.notNegative("auxiliary", auxiliary);
      Require.notNegative("z", z);
      if (biasRate != null) {
        Require.notNegative("biasRate", biasRate);
      }
      Require.that(
          !Boolean.TRUE.equals(perSequence) || !Boolean.TRUE.equals(acrossLayers),
          "the auxiliary loss is taken perSequence or acrossLayers, not both");
    }

    /** Losses without the other settings. */
    public Loss(boolean overAllChoices, double auxiliary, double z) {
      this(overAllChoices, auxiliary, z, null, null, null);
    }

    /** Whether the layer's tokens are part of the loss across layers. */
    public boolean joinsLayers() {
      return Boolean.TRUE.equals(acrossLayers);
    }
  }

  /**
   * A router whose logits are cosines times a learned scale (X-MoE, Tutel).
   *
   * @param width P, of the projection of tokens
   */
  public record Cosine(int width) {
    public Cosine {
      Require.size("width", width, Require.MAX_WIDTH);
    }
  }

  public GateConfig {
    Require.size("topK", topK, MAX_TOP_K);
    Require.present("score", score);
    Require.present("choice", choice);
    Require.present("weight", weight);
    Require.present("capacity", capacity);
    Require.present("loss", loss);
    Require.that(
        loss.biasRate == null || !(loss.biasRate > 0) || choice.correctionBias,
        "loss.biasRate is %s, but there is no bias to update: choice.correctionBias is false",
        loss.biasRate);
    Require.that(
        cosine == null || !routerBias,
        "routerBias is true, but logits that are cosines have no bias");
    Require.that(
        weight.sparseMixer == null || score == Score.SOFTMAX,
        "score is %s, but weight.sparseMixer is for the shares of SOFTMAX",
        score);
  }

  /** With a linear router. */
  public GateConfig(
      int topK,
      boolean routerBias,
      Score score,
      Choice choice,
      RouteWeight weight,
      Capacity capacity,
      Loss loss) {
    this(topK, routerBias, score, choice, weight, capacity, loss, null);
  }

  /** Dropless top-k; raw weight for top-1, else normalised over the k. */
  public static GateConfig dropless(int topK) {
    return new GateConfig(
        topK,
        false,
        Score.SOFTMAX,
        Choice.BEST,
        RouteWeight.of(topK == 1 ? Normalization.RAW : Normalization.CHOSEN),
        Capacity.DROPLESS,
        new Loss(true, 0.01, 0));
  }

  /**
   * DeepSpeed-MoE's gate with token dropping: top-1 with random token selection and raw weights,
   * top-2 with second choices queued after all first ones, top-k dropping the least probable
   * routes; from k = 2 on normalised over the kept routes.
   */
  public static GateConfig deepSpeed(int topK, double capacityFactor, int minimumCapacity) {
    DropPolicy policy =
        switch (topK) {
          case 1 -> DropPolicy.PRIORITY;
          case 2 -> DropPolicy.POSITION;
          default -> DropPolicy.PROBABILITY;
        };
    return new GateConfig(
        topK,
        false,
        Score.SOFTMAX,
        Choice.with(topK == 2 ? Noise.GUMBEL_FROM_SECOND : Noise.NONE),
        RouteWeight.of(topK == 1 ? Normalization.RAW : Normalization.SURVIVORS),
        new Capacity(
            policy,
            capacityFactor,
            capacityFactor,
            minimumCapacity,
            topK == 2 ? QueueOrder.CHOICE_MAJOR : QueueOrder.TOKEN_MAJOR),
        new Loss(topK > 2, 0.01, 0));
  }

  /**
   * DeepSeek-V3's gate: sigmoid scores, normalised over the chosen ones, and a correction bias that
   * balances the experts without an auxiliary loss. From 8 experts on, half of four groups are
   * chosen first.
   */
  public static GateConfig deepSeek(int topK, int experts) {
    int groups = experts >= 8 && experts % 4 == 0 ? 4 : 1;
    return new GateConfig(
        topK,
        false,
        Score.SIGMOID,
        new Choice(groups, Math.max(1, groups / 2), GroupScore.TOP2_SUM, true, Noise.NONE),
        RouteWeight.of(Normalization.CHOSEN),
        Capacity.DROPLESS,
        new Loss(true, 0, 0, null, 1e-3, null));
  }

  /**
   * This gate without dropping, for generation: a token's route must not depend on other tokens.
   */
  public GateConfig withoutDropping() {
    return withCapacity(capacity.by(DropPolicy.DROPLESS));
  }

  /** This gate with {@code k} experts per token. */
  public GateConfig withTopK(int k) {
    return new GateConfig(k, routerBias, score, choice, weight, capacity, loss, cosine);
  }

  /** This gate with another capacity. */
  public GateConfig withCapacity(Capacity other) {
    return new GateConfig(topK, routerBias, score, choice, weight, other, loss, cosine);
  }

  /**
   * This gate for {@code factor} copies of each expert: copies divide a raw share of a softmax by
   * {@code factor}, which the scale corrects.
   */
  public GateConfig forCopies(double factor) {
    boolean divided = score.isShare() && weight.normalization == Normalization.RAW;
    return divided ? withWeight(weight.scaledBy(factor)) : this;
  }

  /** This gate with other weights. */
  public GateConfig withWeight(RouteWeight other) {
    return new GateConfig(topK, routerBias, score, choice, other, capacity, loss, cosine);
  }

  /** This gate with another choice. */
  public GateConfig withChoice(Choice other) {
    return new GateConfig(topK, routerBias, score, other, weight, capacity, loss, cosine);
  }

  /** This gate with other losses. */
  public GateConfig withLoss(Loss other) {
    return new GateConfig(topK, routerBias, score, choice, weight, capacity, other, cosine);
  }

  /** This gate with a cosine router. */
  public GateConfig withCosine(Cosine other) {
    return new GateConfig(topK, false, score, choice, weight, capacity, loss, other);
  }

  /** This gate with another factor of the load balancing loss. */
  public GateConfig withAuxiliaryCoefficient(double coefficient) {
    return withLoss(
        new Loss(
            loss.overAllChoices,
            coefficient,
            loss.z,
            loss.perSequence,
            loss.biasRate,
            loss.acrossLayers));
  }

  /**
   * Refuses a number of experts below k, or that groups do not divide.
   *
   * @throws IllegalArgumentException if so
   */
  void requireFits(int experts) {
    Require.that(topK <= experts, "topK is %s but there are only %s experts", topK, experts);
    if (experts % choice.groups != 0) {
      throw new IllegalArgumentException(
          "choice.groups is " + choice.groups + ", which does not divide " + experts + " experts");
    }
    int reachable = experts / choice.groups * choice.chosenGroups;
    if (topK > reachable) {
      throw new IllegalArgumentException(
          "topK is " + topK + " but the chosen groups have only " + reachable + " experts");
    }
  }

  /**
   * The capacity of an expert, computed in float32 like DeepSpeed's; 0, which kernels ignore, if
   * dropless.
   */
  public long capacity(long tokens, int experts, boolean training) {
    if (capacity.policy == DropPolicy.DROPLESS) {
      return 0;
    }
    double factor = Math.abs(training ? capacity.factor : capacity.evaluationFactor);
    float even = (float) tokens / experts;
    return Math.max((long) Math.ceil(even * (float) (factor * topK)), capacity.minimum);
  }

  /**
   * The settings of one call. Evaluation is deterministic: if training drops by random priority,
   * evaluation keeps the most probable routes.
   */
  public GateSettings settings(long tokens, int experts, boolean training) {
    boolean atRandom = capacity.policy == DropPolicy.PRIORITY;
    DropPolicy policy = atRandom && !training ? DropPolicy.PROBABILITY : capacity.policy;
    return new GateSettings(
        topK,
        score,
        new GateSettings.Groups(choice.groups, choice.chosenGroups, choice.groupScore),
        choice.noise == Noise.GUMBEL_FROM_SECOND ? 1 : 0,
        new GateSettings.Queues(policy, capacity.queueOrder, capacity(tokens, experts, training)),
        new GateSettings.Weighting(
            weight.normalization,
            (float) weight.epsilon,
            (float) weight.offset,
            (float) weight.scale),
        loss.overAllChoices ? topK : 1);
  }
}
