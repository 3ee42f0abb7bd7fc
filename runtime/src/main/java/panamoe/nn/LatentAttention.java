package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.backend.AttentionInputs;
import panamoe.comm.Communicator;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.Rotary;
import panamoe.op.ExpertOp;
import panamoe.op.HeadsOp;
import panamoe.op.HeadsOp.Part;
import panamoe.op.Pass;
import panamoe.op.RotaryOp;
import panamoe.op.SliceOp;
import panamoe.param.Adapter;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.ResidentExperts;
import panamoe.param.Slice;
import panamoe.tensor.Tensor;

/**
 * Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1), always in its absorbed
 * form. Of a token with latent c and rotated key r, head h's key is {@code [K_h c, r]} and its
 * value {@code V_h c}. Its query {@code [n, p]} times that key equals {@code [K_h^T n, p]} times
 * the row {@code [c, r]}, which all heads share. So rows are cached and attended to, and {@code
 * V_h} is applied to the resulting latent. Prompts and single tokens are computed in one order, so
 * their bits agree. Tensor ranks split the heads; each computes whole rows.
 *
 * <p>Letters: H heads of this rank, C size of the latent, R of the rotated key, Q of a query, V of
 * a value.
 */
public final class LatentAttention implements Attention {
  private final LatentAttentionConfig config;
  private final Communicator tensor;
  private final int layer;
  private final int hidden;
  private final int heads;
  private final Linear queryDown;
  private final Norm queryNorm;
  private final Linear query;
  private final Linear down;
  private final Norm latentNorm;
  private final Parameter keyUp;
  private final Parameter valueUp;
  private final Linear output;

  /**
   * Declares {@code query} [H * Q, M], or {@code query_down} [rank, M], {@code query_norm} and
   * {@code query} [H * Q, rank]; {@code key_value_down} [C + R, M], {@code key_value_norm} [C];
   * {@code key_up} [H, C, Q - R], each head's matrix transposed, and {@code value_up} [H, V, C];
   * {@code output} [M, H * V].
   *
   * @param layer index of this layer in the key/value cache
   * @param hidden M
   * @throws IllegalArgumentException if the heads do not divide among the tensor ranks
   */
  public LatentAttention(Declarations at, int layer, int hidden, LatentAttentionConfig config) {
    Parameter.Part part = Parameter.Part.ATTENTION;
    int count = config.heads().count();
    int value = config.heads().value();
    int latent = config.ranks().keyValue();
    Integer queryRank = config.ranks().query();
    this.config = config;
    this.tensor = at.ranks().tensor();
    config.requireShared(tensor.size());
    this.layer = layer;
    this.hidden = hidden;
    this.heads = count / tensor.size();
    this.queryDown =
        queryRank == null
            ? null
            : Linear.whole(at.in("query_down"), part, hidden, queryRank, false);
    this.queryNorm =
        queryRank == null ? null : new Norm(at.in("query_norm"), config.norm(), queryRank);
    this.query =
        Linear.slicedByOutputs(
            at.in("query"),
            part,
            queryRank == null ? hidden : queryRank,
            (long) count * config.querySize(),
            false,
            Activation.IDENTITY);
    this.down = Linear.whole(at.in("key_value_down"), part, hidden, config.rowSize(), false);
    this.latentNorm = new Norm(at.in("key_value_norm"), config.norm(), latent);
    Slice byHead = new Slice(tensor, 0, 1);
    this.keyUp = at.in("key_up").matrix(part, byHead, count, latent, config.heads().nope());
    this.valueUp = at.in("value_up").matrix(part, byHead, count, value, latent);
    this.output =
        Linear.slicedByInputs(at.writing("output"), part, (long) count * value, hidden, false);
  }

  @Override
  public Tensor forward(Pass pass, Tensor x, Sequences sequences, AttentionTables tables) {
    int latent = config.ranks().keyValue();
    Tensor queries = queries(pass, x, sequences, tables);
    Tensor rows = SliceOp.enter(pass, rows(pass, x, sequences, tables), tensor);
    Tensor attended =
        Attention.attend(
            pass,
            layer,
            config.settings(),
            sequences,
            new AttentionInputs(queries, rows, rows, null),
            null);
    attended = attended.reshape(x.size(0), heads, config.rowSize());
    Tensor latents = HeadsOp.join(pass, Part.turned(attended, 0, latent));
    Tensor values = byHead(pass, latents, valueUp, tables);
    values = HeadsOp.join(pass, Part.turned(values, 0, config.heads().value()));
    return output.forward(pass, values.reshape(x.size(0), values.count() / x.size(0)));
  }

  /** [S, H, C + R]: each head's query of the rows. */
  private Tensor queries(Pass pass, Tensor x, Sequences sequences, AttentionTables tables) {
    int nope = config.heads().nope();
    int rotated = config.rotary().size();
    int latent = config.ranks().keyValue();
    Tensor from = queryDown == null ? x : queryNorm.forward(pass, queryDown.forward(pass, x));
    Tensor q = query.forward(pass, SliceOp.enter(pass, from, tensor));
    q = q.reshape(x.size(0), heads, config.querySize());
    Tensor absorbed = byHead(pass, HeadsOp.join(pass, Part.turned(q, 0, nope)), keyUp, tables);
    Tensor positioned =
        rotated(pass, HeadsOp.join(pass, Part.of(q, nope, rotated)), sequences, tables);
    return HeadsOp.join(pass, Part.turned(absorbed, 0, latent), Part.of(positioned, 0, rotated));
  }

  /** [S, 1, C + R]: the cached row of each token, its key and value. */
  private Tensor rows(Pass pass, Tensor x, Sequences sequences, AttentionTables tables) {
    int latent = config.ranks().keyValue();
    int rotated = config.rotary().size();
    Tensor both = down.forward(pass, x).reshape(x.size(0), 1, config.rowSize());
    Tensor normed = latentNorm.forward(pass, HeadsOp.join(pass, Part.of(both, 0, latent)));
    Tensor key =
        rotated(pass, HeadsOp.join(pass, Part.of(both, latent, rotated)), sequences, tables);
    return HeadsOp.join(
        pass, Part.of(normed.reshape(x.size(0), 1, latent), 0, latent), Part.of(key, 0, rotated));
  }

  private Tensor rotated(Pass pass, Tensor x, Sequences sequences, AttentionTables tables) {
    RotaryTable table = tables.of(config.rotary());
    boolean adjacent = config.rotary().pairs() == Rotary.Pairs.ADJACENT;
    return RotaryOp.forward(pass, x, sequences.positions(), table.cosine(), table.sine(), adjacent);
  }

  /** x [H, S, K] to [H, S, N] by the matrix [N, K] of each head. */
  private Tensor byHead(Pass pass, Tensor x, Parameter matrices, AttentionTables tables) {
    long rows = x.size(1);
    Tensor stacked = x.reshape(heads * rows, x.size(2));
    ResidentExperts all = new ResidentExperts(pass, tables.offsets(heads, rows), null, null);
    Tensor y =
        ExpertOp.forward(
            pass,
            stacked,
            all.offsets(),
            matrices.value(),
            null,
            Adapter.terms(pass, matrices, stacked, all),
            Activation.IDENTITY);
    return y.reshape(heads, rows, y.size(1));
  }

  @Override
  public Cost cost(Work work) {
    double count = (double) config.heads().count() / work.tensorRanks();
    double queries = work.bytes(count * config.querySize());
    double nope = work.bytes(count * config.heads().nope());
    double rotated = work.bytes(count * config.rotary().size());
    double absorbed = work.bytes(count * config.rowSize());
    double latents = absorbed - rotated;
    double values = work.bytes(count * config.heads().value());
    double row = work.bytes(config.rowSize());
    double x = work.bytes(hidden);
    Cost compressed =
        queryDown == null ? Cost.NONE : queryDown.cost(work).then(queryNorm.cost(work));
    return compressed
        .then(query.cost(work))
        .then(Cost.activations(work, nope, nope + 2 * queries + x))
        .then(headCost(work, count, keyUp))
        .then(Cost.activations(work, 2 * rotated, rotated + queries + latents + x))
        .then(Cost.activations(work, absorbed, 2 * absorbed + x))
        // In addition to the queries' gradients: the rows' gradients, whose parts are copied,
        // rotated, joined.
        .then(
            down.cost(work)
                .then(latentNorm.cost(work))
                .parallel(Cost.activations(work, 0, absorbed)))
        .then(Cost.activations(work, 2 * row + rotated / count, absorbed + 3 * row))
        .then(rowsCost(work, count))
        .then(Cost.activations(work, latents, latents + absorbed))
        .then(headCost(work, count, valueUp))
        .then(Cost.activations(work, values, 2 * values))
        .then(output.cost(work));
  }

  /** The products of {@code count} heads with their own matrices. */
  private static Cost headCost(Work work, double count, Parameter matrices) {
    long[] shape = matrices.matrixShape();
    double rows = work.tokens() * count;
    return Cost.linear(work, rows, shape[2], shape[1], Activation.IDENTITY, work.dtype())
        .then(Cost.adapter(work, rows, shape[2], shape[1], matrices, work.dtype()))
        .then(Cost.weights(work, matrices));
  }

  /** Attention of {@code count} heads to the rows, and the cache's traffic. */
  private Cost rowsCost(Work work, double count) {
    double pairs = work.sequences() * count * config.scores().pairs(work.cached(), work.length());
    double out = work.bytes(count * config.rowSize());
    double row = work.bytes(config.rowSize());
    double logsumexp = work.training() ? work.bytes32(count) : 0;
    Cost cost =
        Cost.products(work, pairs, 2 * config.rowSize())
            .then(Cost.activations(work, out + logsumexp, 2 * out + 2 * row));
    return work.training() ? cost : cost.then(Cost.cache(work, config, row));
  }
}
