package panamoe.lab.conformance.transformers;

import java.util.Arrays;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.LongStream;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.model.family.Keys;
import panamoe.model.family.RotaryKeys;
import panamoe.nn.RotaryTable;
import panamoe.op.RotaryOp;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.ObjectNode;

/** Rotary positions of transformers: tables of every scaling, and DeepSeek's adjacent pairs. */
public final class RotaryCases {
  private RotaryCases() {}

  public static void table(Replay replay) {
    GoldenFile golden = replay.golden();
    long[] positions = golden.longs("position_ids");
    int length = (int) Arrays.stream(positions).max().orElseThrow() + 1;
    Keys keys = new Keys(golden.path(), (ObjectNode) golden.setting("hyper"));
    Rotary rotary = RotaryKeys.of(keys, 0, keys.count("head_dim"), Rotary.Pairs.HALVES);
    RotaryScaling scaling = rotary.scalingOrNone();
    double[] frequencies = scaling.frequencies(rotary.size(), rotary.base(), length);
    replay.close("inv_freq", Layouts.floats(frequencies.length, i -> frequencies[i]));
    replay.close("attention_scaling", scaling.amplitude());
    RotaryTable table = RotaryTable.of(replay.scope(), length, rotary, ForkJoinPool.commonPool());
    replay.close("cos", repeated(table.cosine(), positions));
    replay.close("sin", repeated(table.sine(), positions));
  }

  /** Table rows [P, D/2] at the positions, each repeated twice like the peer's: [S, D]. */
  public static float[] repeated(Tensor table, long[] positions) {
    int pairs = (int) table.size(1);
    float[] values = table.toFloats();
    float[] result = new float[positions.length * 2 * pairs];
    for (int s = 0; s < positions.length; s++) {
      for (int half = 0; half < 2; half++) {
        System.arraycopy(values, (int) positions[s] * pairs, result, (2 * s + half) * pairs, pairs);
      }
    }
    return result;
  }

  /** V2 keeps rotated pairs at (2i, 2i + 1); V3 moves them to (i, i + D/2). */
  public static void adjacentPairs(Replay replay) {
    GoldenFile golden = replay.golden();
    for (String name : new String[] {"q", "k"}) {
      replay.close(
          "v2_" + name,
          rotated(replay, name, golden.floats("v2_freqs_real"), golden.floats("v2_freqs_imag")));
      int headSize = golden.size(name, 3);
      float[] ours = rotated(replay, name, firstHalves(golden, "cos"), firstHalves(golden, "sin"));
      Axes halves = Axes.of(ours.length / headSize, headSize / 2, 2).as(0, 2, 1);
      replay.close("v3_" + name, halves.ordered(ours));
    }
    replay.note(
        "v3_q, v3_k: ours with the pairs moved apart; products of q and k do not depend on it");
  }

  /** The recorded tables [B, L, D] hold every angle twice. */
  private static float[] firstHalves(GoldenFile golden, String name) {
    float[] table = golden.floats(name);
    int half = golden.size(name, 2) / 2;
    Axes halvesFirst = Axes.of(table.length / (2 * half), 2, half).as(1, 0, 2);
    return Arrays.copyOf(halvesFirst.ordered(table), table.length / 2);
  }

  /** Rotates in the peer's layout [B, H, L, D]; the table [B * L, D/2] has a row per token. */
  private static float[] rotated(Replay replay, String name, float[] cosine, float[] sine) {
    long[] shape = replay.golden().shape(name);
    int batch = (int) shape[0];
    int heads = (int) shape[1];
    int length = (int) shape[2];
    int headSize = (int) shape[3];
    int rows = batch * length;
    Axes tokensFirst = Axes.of(batch, heads, length, headSize).as(0, 2, 1, 3);
    float[] values = tokensFirst.ordered(replay.golden().floats(name));
    Tensor rotated =
        RotaryOp.forward(
            replay.pass(),
            replay.tensor(values, rows, heads, headSize),
            replay.integers(LongStream.range(0, rows).toArray(), rows),
            replay.tensor(cosine, rows, headSize / 2),
            replay.tensor(sine, rows, headSize / 2),
            true);
    return tokensFirst.restored(rotated.toFloats());
  }
}
