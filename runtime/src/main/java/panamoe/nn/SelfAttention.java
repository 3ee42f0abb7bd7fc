package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.backend.AttentionInputs;
import panamoe.comm.Communicator;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Heads;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.op.ClampOp;
import panamoe.op.NormOp;
import panamoe.op.Pass;
import panamoe.op.RotaryOp;
import panamoe.op.SliceOp;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Grouped-query self-attention as {@link GroupedQueryConfig} describes it: projections, norms of
 * queries and keys, clipping, rotation, temperature, attention, output. Tensor ranks split the
 * heads.
 */
public final class SelfAttention implements Attention {
  private final GroupedQueryConfig config;
  private final Communicator tensor;
  private final int layer;
  private final int hidden;
  private final int heads;
  private final int keyValueHeads;
  private final int headSize;
  private final Linear query;
  private final Linear key;
  private final Linear value;
  private final Linear output;
  private final Norm queryNorm;
  private final Norm keyNorm;
  private final Parameter sinks;

  /**
   * Declares {@code query} [H * D, M], {@code key} and, unless keys are values, {@code value} [G *
   * D, M], {@code output} [M, H * D], and {@code query_norm}, {@code key_norm}, {@code sinks} [H]
   * where the config has them.
   *
   * @param layer index of this layer in the key/value cache
   * @param hidden M
   * @throws IllegalArgumentException if the heads do not divide among the tensor ranks
   */
  public SelfAttention(Declarations at, int layer, int hidden, GroupedQueryConfig config) {
    Heads whole = config.heads();
    GroupedQueryConfig.Biases biases = config.biases();
    this.config = config;
    this.tensor = at.ranks().tensor();
    config.requireShared(tensor.size());
    this.layer = layer;
    this.hidden = hidden;
    this.heads = whole.query() / tensor.size();
    this.keyValueHeads = whole.keyValue() / tensor.size();
    this.headSize = whole.size();
    long queries = (long) whole.query() * headSize;
    long keys = (long) whole.keyValue() * headSize;
    this.query = projection(at.in("query"), hidden, queries, biases.query());
    this.key = projection(at.in("key"), hidden, keys, biases.key());
    this.value =
        config.valuesOfKeys() ? null : projection(at.in("value"), hidden, keys, biases.value());
    this.output =
        Linear.slicedByInputs(
            at.writing("output"), Parameter.Part.ATTENTION, queries, hidden, biases.output());
    this.queryNorm = norm(at.in("query_norm"), queries);
    this.keyNorm = norm(at.in("key_norm"), keys);
    this.sinks =
        config.scores().sinks()
            ? at.vector(
                "sinks",
                Parameter.Part.ATTENTION,
                Initialization.ZERO,
                new Slice(tensor, 0, 1),
                whole.query())
            : null;
  }

  private static Linear projection(Declarations at, long hidden, long outputs, boolean withBias) {
    return Linear.slicedByOutputs(
        at, Parameter.Part.ATTENTION, hidden, outputs, withBias, Activation.IDENTITY);
  }

  private Norm norm(Declarations at, long projection) {
    GroupedQueryConfig.QueryKeyNorm norm = config.queryKeyNorm();
    return norm == null || !norm.weighted()
        ? null
        : Norm.overSlices(at, norm.norm(), norm.over() == Over.PROJECTION ? projection : headSize);
  }

  @Override
  public Tensor forward(Pass pass, Tensor x, Sequences sequences, AttentionTables tables) {
    long rows = x.size(0);
    Tensor input = SliceOp.enter(pass, x, tensor);
    Tensor q = prepared(pass, query.forward(pass, input), queryNorm, heads, sequences, tables);
    if (config.temperature() != null) {
      RotaryTable table = tables.of(config.temperature(), headSize);
      q = RotaryOp.forward(pass, q, sequences.positions(), table.cosine(), table.sine(), false);
    }
    Tensor keys = key.forward(pass, input);
    Tensor k = prepared(pass, keys, keyNorm, keyValueHeads, sequences, tables);
    Tensor values = clipped(pass, value == null ? keys : value.forward(pass, input));
    Tensor v = values.reshape(rows, keyValueHeads, headSize);
    if (config.values() != null && config.values().norm() != null) {
      v = normalised(pass, null, config.values().norm(), v).reshape(v.shape());
    }
    Tensor attended =
        Attention.attend(
            pass,
            layer,
            config.settings(),
            sequences,
            new AttentionInputs(q, k, v, Parameter.valueOf(sinks)),
            tables.bias(pass));
    return output.forward(pass, attended.reshape(rows, (long) heads * headSize));
  }

  /**
   * @param norm null: without weights
   */
  private static Tensor normalised(Pass pass, Norm norm, NormConfig settings, Tensor x) {
    return norm == null
        ? NormOp.forward(pass, x, (float) settings.epsilon())
        : norm.forward(pass, x);
  }

  /** Queries or keys [S, N, D]: projected before, normalised, clipped, rotated. */
  private Tensor prepared(
      Pass pass,
      Tensor projected,
      Norm norm,
      int count,
      Sequences sequences,
      AttentionTables tables) {
    Tensor x = projected;
    GroupedQueryConfig.QueryKeyNorm own = config.queryKeyNorm();
    Over over = own == null ? null : own.over();
    long rows = x.size(0);
    if (over == Over.PROJECTION) {
      x = normalised(pass, norm, own.norm(), x);
    } else if (over == Over.HEAD) {
      x = normalised(pass, norm, own.norm(), x.reshape(rows * count, headSize));
    }
    x = clipped(pass, x).reshape(rows, count, headSize);
    Rotary rotary = config.rotary();
    if (rotary != null) {
      RotaryTable table = tables.of(rotary);
      boolean adjacent = rotary.pairs() == Rotary.Pairs.ADJACENT;
      x = RotaryOp.forward(pass, x, sequences.positions(), table.cosine(), table.sine(), adjacent);
    }
    return over == Over.ROTATED_HEAD
        ? normalised(pass, norm, own.norm(), x.reshape(rows * count, headSize))
            .reshape(rows, count, headSize)
        : x;
  }

  @Override
  public Cost cost(Work work) {
    int ranks = work.tensorRanks();
    Heads whole = config.heads();
    double queries = (double) whole.query() / ranks;
    double keys = (double) whole.keyValue() / ranks;
    return query
        .cost(work)
        .then(key.cost(work))
        .then(value == null ? Cost.NONE : value.cost(work))
        .then(
            config.values() == null || config.values().norm() == null
                ? Cost.NONE
                : unweightedCost(work, keys))
        .then(config.clip() == null ? Cost.NONE : copy(work, queries + 2 * keys))
        .then(normCost(work, queryNorm, queries))
        .then(normCost(work, keyNorm, keys))
        .then(config.rotary() == null ? Cost.NONE : copy(work, queries + keys))
        .then(config.temperature() == null ? Cost.NONE : copy(work, queries))
        .then(Cost.weights(work, sinks))
        .then(scoresCost(work, queries, keys))
        .then(output.cost(work));
  }

  /** A step that writes {@code count} heads to a new tensor. */
  private Cost copy(Work work, double count) {
    return Cost.activations(work, work.bytes(count * headSize), 0);
  }

  /** A norm of {@code count} heads, if there is one. */
  private Cost normCost(Work work, Norm norm, double count) {
    if (config.queryKeyNorm() == null) {
      return Cost.NONE;
    }
    return norm == null
        ? unweightedCost(work, count)
        : norm.cost(work, config.queryKeyNorm().over() == Over.PROJECTION ? 1 : count);
  }

  /** A norm of {@code count} heads without weights. */
  private Cost unweightedCost(Work work, double count) {
    double statistics = work.training() ? work.bytes32(count) : 0;
    double ones = (double) DType.FLOAT32.bytes() * headSize;
    return copy(work, count).then(Cost.activations(work, statistics + ones, 0));
  }

  /** Attention, and the traffic of its cache. */
  private Cost scoresCost(Work work, double queries, double keys) {
    double pairs = work.sequences() * queries * config.scores().pairs(work.cached(), work.length());
    double out = work.bytes(queries * headSize);
    double keyValue = work.bytes(2 * keys * headSize);
    // Gradients of the output, q, k and v; later of q, k and two terms of that of x.
    double gradients = Math.max(2 * out + keyValue, out + keyValue / 2 + 2 * work.bytes(hidden));
    Cost cost =
        Cost.products(work, pairs, 2 * headSize)
            .then(
                Cost.activations(
                    work, out + (work.training() ? work.bytes32(queries) : 0), gradients));
    return work.training() ? cost : cost.then(Cost.cache(work, config, keyValue));
  }

  private Tensor clipped(Pass pass, Tensor x) {
    return config.clip() == null ? x : ClampOp.forward(pass, x, config.clip().floatValue());
  }
}
