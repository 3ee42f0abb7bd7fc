package panamoe.lab.conformance.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.backend.OptimizerKernels;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Steps of {@code torch.optim.AdamW}, optionally with clipping by the global gradient norm. */
public final class OptimizerCases {
  private OptimizerCases() {}

  private record Moments(String name, Tensor parameter, Tensor first, Tensor second) {}

  public static void adamW(Replay replay) {
    GoldenFile golden = replay.golden();
    List<Moments> all = new ArrayList<>();
    for (int i = 0; golden.has("p" + i + ".init"); i++) {
      long[] shape = golden.shape("p" + i + ".init");
      all.add(
          new Moments(
              "p" + i,
              replay.input("p" + i + ".init"),
              replay.scope().zeros(DType.FLOAT32, shape),
              replay.scope().zeros(DType.FLOAT32, shape)));
    }
    int steps = golden.setting("steps").asInt();
    float[] norms = new float[steps];
    for (int step = 0; step < steps; step++) {
      List<Tensor> gradients = new ArrayList<>();
      for (Moments each : all) {
        gradients.add(
            replay.tensor(at(golden, each.name() + ".grads", step), each.parameter().shape()));
      }
      norms[step] = (float) norm(replay, gradients);
      float scale =
          golden.setting("clip_grad_norm").isNull()
              ? 1
              : (float)
                  Math.min(1, golden.setting("clip_grad_norm").asDouble() / (norms[step] + 1e-6));
      for (int i = 0; i < all.size(); i++) {
        Moments each = all.get(i);
        replay
            .backend()
            .adamwStep(
                new OptimizerKernels.AdamW(
                    (float) golden.hyper("lr").asDouble(),
                    (float) golden.hyper("betas").get(0).asDouble(),
                    (float) golden.hyper("betas").get(1).asDouble(),
                    (float) golden.hyper("eps").asDouble(),
                    (float) golden.hyper("weight_decay").asDouble(),
                    scale,
                    step + 1),
                each.parameter(),
                gradients.get(i),
                each.first(),
                each.second(),
                null);
        String after = each.name() + ".after";
        replay.close(after + " step " + step, at(golden, after, step), each.parameter().toFloats());
      }
    }
    for (Moments each : all) {
      replay.close(each.name() + ".exp_avg", each.first().toFloats());
      replay.close(each.name() + ".exp_avg_sq", each.second().toFloats());
    }
    replay.closeIfRecorded("grad_norm", norms);
  }

  private static double norm(Replay replay, List<Tensor> gradients) {
    Tensor sum = replay.scope().allocate(DType.FLOAT32, 1);
    double total = 0;
    for (Tensor gradient : gradients) {
      replay.backend().squareSum(gradient, sum);
      total += sum.getFloat(0);
    }
    return Math.sqrt(total);
  }

  /** Slice {@code step} of a tensor whose first dimension is the steps. */
  private static float[] at(GoldenFile golden, String name, int step) {
    float[] all = golden.floats(name);
    int size = all.length / golden.size(name, 0);
    return Arrays.copyOfRange(all, step * size, (step + 1) * size);
  }
}
