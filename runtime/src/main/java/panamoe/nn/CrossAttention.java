package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings;
import panamoe.config.GroupedQueryConfig;
import panamoe.op.AttentionOp;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;

/**
 * Attention of a decoder's rows to an encoded sequence, whose keys and values are computed once and
 * kept. On one rank; forward only.
 */
public final class CrossAttention {
  private final AttentionSettings settings;
  private final int layer;
  private final GroupedQueryConfig.Heads heads;
  private final Linear query;
  private final Linear key;
  private final Linear value;
  private final Linear output;

  /**
   * Declares {@code query} [H * D, M], {@code key} and {@code value} [G * D, M], {@code output} [M,
   * H * D].
   *
   * @param layer index of this layer in the cache of encoded sequences
   * @param hidden M
   */
  public CrossAttention(Declarations at, int layer, int hidden, GroupedQueryConfig config) {
    GroupedQueryConfig.Biases biases = config.biases();
    this.settings = config.settings().seeing();
    this.layer = layer;
    this.heads = config.heads();
    long queries = (long) heads.query() * heads.size();
    long keys = (long) heads.keyValue() * heads.size();
    this.query = projection(at.in("query"), hidden, queries, biases.query());
    this.key = projection(at.in("key"), hidden, keys, biases.key());
    this.value = projection(at.in("value"), hidden, keys, biases.value());
    this.output =
        Linear.slicedByInputs(
            at.writing("output"), Parameter.Part.ATTENTION, queries, hidden, biases.output());
  }

  private static Linear projection(Declarations at, long hidden, long outputs, boolean withBias) {
    return Linear.slicedByOutputs(
        at, Parameter.Part.ATTENTION, hidden, outputs, withBias, Activation.IDENTITY);
  }

  /**
   * Stores the keys and values of encoded tokens.
   *
   * @param encoded [S, M]
   * @param at their places: the ends are the tokens' positions
   */
  public void keep(Pass pass, Tensor encoded, Sequences.Source at) {
    long rows = encoded.size(0);
    Tensor k = key.forward(pass, encoded).reshape(rows, heads.keyValue(), heads.size());
    Tensor v = value.forward(pass, encoded).reshape(rows, heads.keyValue(), heads.size());
    pass.backend().cacheAppend(k, v, at.cache().places(layer, at.table(), at.slots(), at.ends()));
  }

  /** x [S, M] to [S, M]: each row attends to its whole encoded sequence. */
  public Tensor forward(Pass pass, Tensor x, Sequences.Source source) {
    Tensor q = query.forward(pass, x).reshape(x.size(0), heads.query(), heads.size());
    Tensor attended =
        AttentionOp.read(
            pass,
            settings,
            q,
            null,
            source.cache().places(layer, source.table(), source.slots(), source.ends()));
    return output.forward(pass, attended.reshape(x.size(0), (long) heads.query() * heads.size()));
  }

  /**
   * The cost of the projections in {@link #forward}; that of scores depends on the encoded length.
   */
  public Cost cost(Work work) {
    return query.cost(work).then(output.cost(work));
  }
}
