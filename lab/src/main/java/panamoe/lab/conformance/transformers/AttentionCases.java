package panamoe.lab.conformance.transformers;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.Rotary;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.nn.AttentionTables;
import panamoe.nn.RotaryTable;
import panamoe.nn.SelfAttention;
import panamoe.nn.Sequences;
import panamoe.op.RotaryOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Causal attention of transformers: rotary positions, grouped queries, sliding window,
 * probabilities and gradients.
 */
public final class AttentionCases {
  private final Replay replay;
  private final GoldenFile golden;
  private final int batch;
  private final int length;
  private final GroupedQueryConfig.Heads heads;
  private final GroupedQueryConfig config;

  private AttentionCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    this.batch = golden.size("q", 0);
    this.length = golden.size("q", 2);
    this.heads =
        new GroupedQueryConfig.Heads(golden.size("q", 1), golden.size("k", 1), golden.size("q", 3));
    this.config =
        new GroupedQueryConfig(
            heads,
            GroupedQueryConfig.Biases.all(false),
            null,
            null,
            Rotary.whole(golden.setting("rope_theta").asDouble(), heads.size()),
            new AttentionConfig.Scores(
                Mask.CAUSAL,
                golden.setting("sliding_window").asInt(0),
                false,
                golden.setting("scale").asDouble()));
  }

  public static void causal(Replay replay) {
    new AttentionCases(replay).compare();
  }

  private void compare() {
    long[] positionIds = golden.longs("position_ids");
    int longest = (int) Arrays.stream(positionIds).max().orElseThrow() + 1;
    RotaryTable rotary =
        RotaryTable.of(replay.scope(), longest, config.rotary(), ForkJoinPool.commonPool());
    replay.close("cos", RotaryCases.repeated(rotary.cosine(), positionIds));
    replay.close("sin", RotaryCases.repeated(rotary.sine(), positionIds));
    Tensor positions = replay.integers(positionIds, positionIds.length);
    Tensor q = rotated("q", heads.query(), positions, rotary);
    Tensor k = rotated("k", heads.keyValue(), positions, rotary);
    replay.close("q_rope", tokensFirst(heads.query()).restored(q.toFloats()));
    replay.close("k_rope", tokensFirst(heads.keyValue()).restored(k.toFloats()));
    compareProbabilities(q, k);
    compareLayer(positions, longest);
  }

  /**
   * The recorded case starts at q, k and v. They enter our layer as columns of one x [S, (H + 2G)
   * D], and the projections select them. The first H * D columns of the output [S, (H + 2G) D] are
   * the heads'.
   */
  private void compareLayer(Tensor positions, int longest) {
    int queries = heads.query() * heads.size();
    int keys = heads.keyValue() * heads.size();
    int hidden = queries + 2 * keys;
    WeightMap weights =
        new WeightMap()
            .given("query.weight", identity(queries, hidden, 0))
            .given("key.weight", identity(keys, hidden, queries))
            .given("value.weight", identity(keys, hidden, queries + keys))
            .given("output.weight", identity(hidden, queries, 0));
    Tensor x = replay.scope().zeros(DType.FLOAT32, (long) batch * length, hidden);
    write(rows("q", heads.query()), x, 0);
    write(rows("k", heads.keyValue()), x, queries);
    write(rows("v", heads.keyValue()), x, queries + keys);
    Tensor upstream = replay.scope().zeros(DType.FLOAT32, x.shape());
    write(golden.floats("upstream"), upstream, 0);
    try (BlockReplay<SelfAttention> block =
        new BlockReplay<>(replay, weights, at -> new SelfAttention(at, 0, hidden, config))) {
      Sequences sequences = new Sequences.Whole(batch, length, positions);
      AttentionTables tables = new AttentionTables(replay.scope(), longest, List.of(config));
      Tensor out = block.layer().forward(block.pass(), x, sequences, tables);
      replay.close("out", columns(out.toFloats(), 0, queries));
      replay.backward(out, upstream.toFloats());
      float[] gradient = replay.gradientOf(x);
      closeHeads("grad_q", heads.query(), columns(gradient, 0, queries));
      closeHeads("grad_k", heads.keyValue(), columns(gradient, queries, keys));
      closeHeads("grad_v", heads.keyValue(), columns(gradient, queries + keys, keys));
    }
  }

  /** A [rows, columns] matrix that selects columns from {@code first} on. */
  private static float[] identity(int rows, int columns, int first) {
    float[] matrix = new float[rows * columns];
    for (int i = 0; i < Math.min(rows, columns - first); i++) {
      matrix[i * columns + first + i] = 1;
    }
    return matrix;
  }

  /** Writes rows [S, N] to some columns of a table [S, M]. */
  private void write(float[] values, Tensor table, int first) {
    int width = values.length / (batch * length);
    for (int i = 0; i < values.length; i++) {
      table.setFloat(i / width * table.size(1) + first + i % width, values[i]);
    }
  }

  /** Some columns of a table [S, M]. */
  private float[] columns(float[] table, int first, int count) {
    int width = table.length / (batch * length);
    return Layouts.floats(
        batch * length * count, i -> table[i / count * width + first + i % count]);
  }

  private void closeHeads(String name, int count, float[] rows) {
    replay.close(name, tokensFirst(count).restored(rows));
  }

  /**
   * Compares probabilities. They are never in memory; with unit vectors as values, attention
   * outputs D of them at a time.
   */
  private void compareProbabilities(Tensor q, Tensor k) {
    float[] probabilities = new float[batch * heads.query() * length * length];
    for (int from = 0; from < length; from += heads.size()) {
      int columns = Math.min(heads.size(), length - from);
      Tensor units = replay.scope().zeros(DType.FLOAT32, k.shape());
      for (int row = 0; row < batch * length * heads.keyValue(); row++) {
        int column = row / heads.keyValue() % length - from;
        if (column >= 0 && column < columns) {
          units.setFloat((long) row * heads.size() + column, 1);
        }
      }
      Tensor out = replay.scope().allocate(DType.FLOAT32, q.shape());
      replay
          .backend()
          .attentionForward(config.settings(), new AttentionInputs(q, k, units), out, null);
      float[] part = tokensFirst(heads.query()).restored(out.toFloats());
      for (int row = 0; row < part.length / heads.size(); row++) {
        System.arraycopy(part, row * heads.size(), probabilities, row * length + from, columns);
      }
    }
    replay.close("probs", probabilities);
  }

  /** Recorded heads [B, N, L, D], rotated [B, L, N, D]. */
  private Tensor rotated(String name, int count, Tensor positions, RotaryTable rotary) {
    Tensor given = replay.tensor(rows(name, count), (long) batch * length, count, heads.size());
    return RotaryOp.forward(replay.pass(), given, positions, rotary.cosine(), rotary.sine(), false)
        .reshape(batch, length, count, heads.size());
  }

  private float[] rows(String name, int count) {
    return tokensFirst(count).ordered(golden.floats(name));
  }

  /** [B, N, L, D] to [B, L, N, D]. */
  private Axes tokensFirst(int count) {
    return Axes.of(batch, count, length, heads.size()).as(0, 2, 1, 3);
  }
}
