package panamoe.peers;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.core.Linear;
import ai.djl.pytorch.engine.PtEngine;
import ai.djl.pytorch.jni.JniUtils;
import java.util.Arrays;
import java.util.stream.IntStream;
import panamoe.lab.bench.LayerShape;

/**
 * A float32 loop over the experts with tokens, by DJL's array operations on its libtorch. DJL 0.36
 * has a bfloat16 type, but creating such an array crashes the process.
 */
final class DjlLayer implements PeerLayer {
  private final LayerShape shape;
  private final NDManager manager = NDManager.newBaseManager("PyTorch");
  private final NDArray router;
  private final NDArray[] up;
  private final NDArray[] gate;
  private final NDArray[] down;

  DjlLayer(LayerShape shape, int threads, LayerWeights weights) {
    this.shape = shape;
    JniUtils.setNumThreads(threads);
    int experts = shape.experts();
    int hidden = shape.hidden();
    int inner = shape.expertHidden();
    boolean gated = gated();
    this.router = array(weights.router(), experts, hidden);
    this.up = new NDArray[experts];
    this.gate = new NDArray[experts];
    this.down = new NDArray[experts];
    for (int e = 0; e < experts; e++) {
      float[] first = weights.up(e);
      int size = inner * hidden;
      up[e] = array(gated ? Arrays.copyOfRange(first, size, 2 * size) : first, inner, hidden);
      gate[e] = gated ? array(Arrays.copyOf(first, size), inner, hidden) : null;
      down[e] = array(weights.down(e), hidden, inner);
    }
  }

  static String version() {
    return PtEngine.getEngine("PyTorch").getVersion();
  }

  @Override
  public Batch over(float[] x) {
    NDArray input = array(x, x.length / shape.hidden(), shape.hidden());
    return new Batch() {
      @Override
      public void run() {
        forward(input, false);
      }

      @Override
      public float[] output() {
        return forward(input, true);
      }

      @Override
      public void close() {
        input.close();
      }
    };
  }

  @Override
  public void close() {
    manager.close();
  }

  private float[] forward(NDArray x, boolean wanted) {
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      NDArray scores = linear(x, router).softmax(1);
      NDList top = scores.topK(shape.topK(), 1, true, true);
      NDArray weight = top.get(0);
      if (shape.topK() > 1) {
        weight = weight.div(weight.sum(new int[] {1}, true));
      }
      NDArray y = combine(experts(x, top.get(1).toLongArray()), weight);
      return wanted ? y.toFloatArray() : null;
    }
  }

  /**
   * Computes the experts' outputs.
   *
   * @param chosen [T, K]
   * @return [T * K, M], in the order of {@code chosen}
   */
  private NDArray experts(NDArray x, long[] chosen) {
    NDList outputs = new NDList();
    long[] row = new long[chosen.length];
    int rows = 0;
    for (int e = 0; e < shape.experts(); e++) {
      int expert = e;
      int[] choices = IntStream.range(0, chosen.length).filter(i -> chosen[i] == expert).toArray();
      if (choices.length == 0) {
        continue;
      }
      for (int choice : choices) {
        row[choice] = rows++;
      }
      long[] tokens = Arrays.stream(choices).mapToLong(choice -> choice / shape.topK()).toArray();
      NDArray input = rows(x, tokens);
      NDArray inner =
          gated()
              ? Activation.swish(linear(input, gate[e]), 1).mul(linear(input, up[e]))
              : Activation.gelu(linear(input, up[e]));
      outputs.add(linear(inner, down[e]));
    }
    return rows(NDArrays.concat(outputs), row);
  }

  /** The sum of each token's experts [T * K, M] by their weights [T, K]. */
  private NDArray combine(NDArray outputs, NDArray weight) {
    long tokens = weight.getShape().get(0);
    NDArray weighted =
        outputs.reshape(tokens, shape.topK(), shape.hidden()).mul(weight.expandDims(2));
    return weighted.sum(new int[] {1});
  }

  private NDArray rows(NDArray x, long[] indices) {
    return x.get(new NDIndex("{}", manager.create(indices)));
  }

  private static NDArray linear(NDArray x, NDArray weight) {
    return Linear.linear(x, weight).singletonOrThrow();
  }

  private NDArray array(float[] values, long rows, long columns) {
    return manager.create(values, new Shape(rows, columns));
  }

  private boolean gated() {
    return shape.activation().equals(panamoe.backend.Activation.SWIGLU);
  }
}
