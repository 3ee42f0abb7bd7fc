package panamoe.harness.conformance.transformers;

import java.util.Arrays;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.config.Rotary;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Replay;
import panamoe.nn.RotaryTable;
import panamoe.op.AttentionOp;
import panamoe.op.Pass;
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
  private final int headSize;
  private final AttentionSettings settings;

  private AttentionCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    this.batch = golden.size("q", 0);
    this.length = golden.size("q", 2);
    this.headSize = golden.size("q", 3);
    this.settings =
        AttentionSettings.causal(
            golden.setting("sliding_window").asLong(0), (float) golden.setting("scale").asDouble());
  }

  public static void causal(Replay replay) {
    new AttentionCases(replay).compare();
  }

  private void compare() {
    long[] positionIds = golden.longs("position_ids");
    int table = (int) Arrays.stream(positionIds).max().orElseThrow() + 1;
    RotaryTable rotary =
        RotaryTable.of(
            replay.scope(), table, Rotary.whole(golden.setting("rope_theta").asDouble(), headSize));
    replay.close("cos", RotaryCases.repeated(rotary.cosine(), positionIds));
    replay.close("sin", RotaryCases.repeated(rotary.sine(), positionIds));
    Tensor positions = replay.integers(positionIds, positionIds.length);

    Tensor q = sequences("q");
    Tensor k = sequences("k");
    Tensor v = sequences("v");
    Tensor rotatedQ = rotated(q, positions, rotary);
    Tensor rotatedK = rotated(k, positions, rotary);
    replay.close("q_rope", peerLayout(rotatedQ.toFloats(), heads(q)));
    replay.close("k_rope", peerLayout(rotatedK.toFloats(), heads(k)));
    compareProbabilities(rotatedQ, rotatedK);

    Tensor out =
        AttentionOp.forward(replay.pass(), settings, new AttentionInputs(rotatedQ, rotatedK, v));
    replay.close("out", out.toFloats());
    replay.backward(out, golden.floats("upstream"));
    replay.close("grad_q", peerLayout(replay.gradientOfInput(q), heads(q)));
    replay.close("grad_k", peerLayout(replay.gradientOfInput(k), heads(k)));
    replay.close("grad_v", peerLayout(replay.gradientOfInput(v), heads(v)));
  }

  /**
   * Probabilities never stand in memory; with unit vectors as values they are what attention gives
   * out, D at a time.
   */
  private void compareProbabilities(Tensor q, Tensor k) {
    Pass inference = Pass.inference(replay.backend(), replay.scope());
    int heads = heads(q);
    float[] probabilities = new float[batch * heads * length * length];
    for (int from = 0; from < length; from += headSize) {
      int columns = Math.min(headSize, length - from);
      Tensor units = replay.scope().zeros(DType.FLOAT32, k.shape());
      for (int b = 0; b < batch; b++) {
        for (int column = 0; column < columns; column++) {
          for (int g = 0; g < heads(k); g++) {
            units.setFloat(
                (((long) b * length + from + column) * heads(k) + g) * headSize + column, 1);
          }
        }
      }
      float[] out =
          AttentionOp.forward(inference, settings, new AttentionInputs(q, k, units)).toFloats();
      for (int b = 0; b < batch; b++) {
        for (int i = 0; i < length; i++) {
          for (int h = 0; h < heads; h++) {
            System.arraycopy(
                out,
                ((b * length + i) * heads + h) * headSize,
                probabilities,
                ((b * heads + h) * length + i) * length + from,
                columns);
          }
        }
      }
    }
    replay.close("probs", probabilities);
  }

  private Tensor rotated(Tensor x, Tensor positions, RotaryTable rotary) {
    Tensor rows = x.reshape((long) batch * length, heads(x), headSize);
    return RotaryOp.forward(replay.pass(), rows, positions, rotary.cosine(), rotary.sine(), false)
        .reshape(x.shape());
  }

  /** A recorded [B, heads, L, D] as [B, L, heads, D]. */
  private Tensor sequences(String name) {
    int heads = golden.size(name, 1);
    float[] values = Layouts.swappedMiddle(golden.floats(name), batch, heads, length, headSize);
    return replay.tensor(values, batch, length, heads, headSize);
  }

  private float[] peerLayout(float[] values, int heads) {
    return Layouts.swappedMiddle(values, batch, length, heads, headSize);
  }

  private static int heads(Tensor x) {
    return (int) x.size(2);
  }
}
