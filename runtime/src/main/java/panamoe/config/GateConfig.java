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
 * @param weight what an expert's output is multiplied by
 * @param capacity who leaves when an expert is asked for too much
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

  /** Largest k the kernels serve. */
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
   * @param groupScore what ranks the groups
   * @param correctionBias whether a bias for each expert is added to the scores for the choice
   *     alone (DeepSeek-V3)
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
   * What an expert's output is multiplied by: {@code scale * score / max(sum + offset, epsilon)}.
   *
   * @param normalization the sum's terms; {@link Normalization#RAW} has no denominator
   * @param epsilon lower bound of the denominator
   * @param offset added to the sum (1e-20 in DeepSeek-V3)
   * @param scale routed_scaling_factor
   * @param place where the weight is multiplied in; null: at the expert's output
   */
  public record RouteWeight(
      Normalization normalization,
      double epsilon,
      double offset,
      double scale,
      @Omittable Place place) {
    /** Where a route's weight is multiplied in. */
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
    }

    /** At the expert's output. */
    public RouteWeight(Normalization normalization, double epsilon, double offset, double scale) {
      this(normalization, epsilon, offset, scale, null);
    }

    /** The same weight at another place. */
    public RouteWeight at(Place other) {
      return new RouteWeight(normalization, epsilon, offset, scale, other);
    }

    /** Without offset and scale, over a denominator of at least float32's epsilon. */
    public static RouteWeight of(Normalization normalization) {
      return new RouteWeight(normalization, Math.ulp(1f), 0, 1);
    }

    private RouteWeight scaledBy(double factor) {
      return new RouteWeight(normalization, epsilon, offset, scale * factor, place);
    }
  }

  /**
   * How many routes an expert keeps: {@code max(ceil(S/E * k * |factor|), minimum)}.
   *
   * @param policy who leaves; {@link DropPolicy#DROPLESS} keeps every route, and has no use for the
   *     factors and the minimum; {@link DropPolicy#PRIORITY} is drawn in training, and evaluation
   *     keeps the most probable routes
   * @param factor in training, relative to an even split of all routes; its sign does not count:
   *     below 0 Tutel's capacity is what the fullest queue needs, if less, and no queue here takes
   *     more room than it needs
   * @param evaluationFactor the same in evaluation
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

    /** The same capacity under another policy. */
    public Capacity by(DropPolicy other) {
      return new Capacity(other, factor, evaluationFactor, minimum, queueOrder);
    }
  }

  /**
   * What balances the experts: losses, by their factors in the objective, and the correction bias.
   *
   * @param overAllChoices whether the auxiliary loss counts all k choices, or the first only
   * @param auxiliary of the load balancing loss
   * @param z of the z loss (ST-MoE)
   * @param perSequence whether the auxiliary loss is taken over each sequence (DeepSeek-V3), with
   *     scores normalised to a sum of 1, in the place of the batch; null: false
   * @param biasRate how far the correction bias of an expert moves after each optimizer step,
   *     against its load (DeepSeek-V3); null: 0
   * @param acrossLayers whether the auxiliary loss is one for the tokens of all layers that say so,
   *     as transformers computes it, in the place of one for each layer; null: false
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

    /** Losses alone. */
    public Loss(boolean overAllChoices, double auxiliary, double z) {
      this(overAllChoices, auxiliary, z, null, null, null);
    }

    /** Whether the layer's tokens are part of the loss of all layers. */
    public boolean joinsLayers() {
      return Boolean.TRUE.equals(acrossLayers);
    }
  }

  /**
   * A router whose logits are cosines times a learned scale (X-MoE, Tutel).
   *
   * @param width P, of the space in which tokens and experts are compared
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

  /**
   * Every token to its k best experts, nothing dropped; raw weight for top-1, normalised over the k
   * for more.
   */
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
   * top-2 with second choices queued behind all first ones, top-k dropping the least probable
   * routes; from k = 2 on normalised over the survivors.
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
   * The same gate without dropping. Generation uses it, because a token's route must not depend on
   * its neighbours.
   */
  public GateConfig withoutDropping() {
    return withCapacity(capacity.by(DropPolicy.DROPLESS));
  }

  /** The same gate for {@code k} experts a token. */
  public GateConfig withTopK(int k) {
    return new GateConfig(k, routerBias, score, choice, weight, capacity, loss, cosine);
  }

  /** The same gate with another capacity. */
  public GateConfig withCapacity(Capacity other) {
    return new GateConfig(topK, routerBias, score, choice, weight, other, loss, cosine);
  }

  /**
   * This gate for copies of its experts, {@code factor} times as many: a raw weight that is a share
   * is divided by as much, for which the scale makes up.
   */
  public GateConfig forCopies(double factor) {
    boolean divided = score.isShare() && weight.normalization == Normalization.RAW;
    return divided ? withWeight(weight.scaledBy(factor)) : this;
  }

  /** The same gate with other weights. */
  public GateConfig withWeight(RouteWeight other) {
    return new GateConfig(topK, routerBias, score, choice, other, capacity, loss, cosine);
  }

  /** The same gate with another choice. */
  public GateConfig withChoice(Choice other) {
    return new GateConfig(topK, routerBias, score, other, weight, capacity, loss, cosine);
  }

  /** The same gate with other losses. */
  public GateConfig withLoss(Loss other) {
    return new GateConfig(topK, routerBias, score, choice, weight, capacity, other, cosine);
  }

  /** The same gate with logits that are cosines. */
  public GateConfig withCosine(Cosine other) {
    return new GateConfig(topK, false, score, choice, weight, capacity, loss, other);
  }

  /** The same gate with another weight of the load balancing loss. */
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
   * Refuses a number of experts that this gate cannot choose from.
   *
   * @throws IllegalArgumentException if they are fewer than k, or groups do not fit
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
   * Routes an expert keeps, in float32 as DeepSpeed computes it; 0, which kernels ignore, where
   * nothing is dropped.
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
   * The settings of one call. Evaluation never draws random numbers: where training drops by random
   * priority, evaluation keeps the most probable routes.
   */
  public GateSettings settings(long tokens, int experts, boolean training) {
    boolean drawn = capacity.policy == DropPolicy.PRIORITY;
    DropPolicy policy = drawn && !training ? DropPolicy.PROBABILITY : capacity.policy;
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
