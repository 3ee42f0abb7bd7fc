package panamoe.peers;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Activation;
import panamoe.lab.bench.LayerShape;

/** ONNX Runtime's MoE operator in float32, after a product with the router's weights. */
final class OnnxLayer implements PeerLayer {
  private final LayerShape shape;
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final List<OnnxTensor> weights = new ArrayList<>();
  private final OrtSession session;

  /**
   * @throws IllegalArgumentException if a weight is larger than ONNX Runtime's Java interface takes
   */
  OnnxLayer(LayerShape shape, int threads, LayerWeights values) throws OrtException {
    this.shape = shape;
    int experts = shape.experts();
    int hidden = shape.hidden();
    int inner = shape.expertHidden();
    boolean gated = shape.activation().equals(Activation.SWIGLU);
    int upOutputs = gated ? 2 * inner : inner;
    FloatBuffer up = floats((long) experts * upOutputs * hidden);
    FloatBuffer down = floats((long) experts * hidden * inner);
    for (int e = 0; e < experts; e++) {
      up.put(gated ? interleaved(values.up(e), inner, hidden) : values.up(e));
      down.put(values.down(e));
    }
    byte[] model = OnnxModel.moe(hidden, inner, experts, shape.topK(), gated);
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(threads);
      options.setInterOpNumThreads(1);
      options.addExternalInitializers(
          new HashMap<>(
              Map.of(
                  "router", weight(transposed(values.router(), experts, hidden), hidden, experts),
                  "up", weight(up.flip(), experts, upOutputs, hidden),
                  "down", weight(down.flip(), experts, hidden, inner))));
      this.session = environment.createSession(model, options);
    }
  }

  static String version() {
    return OrtEnvironment.getEnvironment().getVersion();
  }

  @Override
  public Batch over(float[] x) {
    try {
      OnnxTensor input =
          tensor(floats(x.length).put(x).flip(), x.length / shape.hidden(), shape.hidden());
      return new OnnxBatch(session, input);
    } catch (OrtException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
    weights.forEach(OnnxTensor::close);
  }

  /**
   * A weight tensor, which must stay open as long as the session, because that reads it in place.
   */
  private OnnxTensor weight(FloatBuffer values, long... shape) throws OrtException {
    OnnxTensor tensor = tensor(values, shape);
    weights.add(tensor);
    return tensor;
  }

  private OnnxTensor tensor(FloatBuffer values, long... shape) throws OrtException {
    return OnnxTensor.createTensor(environment, values, shape);
  }

  private static FloatBuffer floats(long count) {
    long bytes = count * Float.BYTES;
    if (bytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "a weight has "
              + bytes
              + " bytes, expected fewer than 2 GiB, the limit of ONNX Runtime's Java interface");
    }
    return ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  /**
   * The rows of [2n, columns] in the order 0, n, 1, n + 1, …, in which the operator expects
   * SwiGLU's two matrices.
   */
  private static float[] interleaved(float[] matrix, int n, int columns) {
    float[] result = new float[matrix.length];
    for (int row = 0; row < n; row++) {
      System.arraycopy(matrix, row * columns, result, 2 * row * columns, columns);
      System.arraycopy(matrix, (n + row) * columns, result, (2 * row + 1) * columns, columns);
    }
    return result;
  }

  private static FloatBuffer transposed(float[] matrix, int rows, int columns) {
    FloatBuffer result = floats(matrix.length);
    for (int i = 0; i < matrix.length; i++) {
      result.put(i % columns * rows + i / columns, matrix[i]);
    }
    return result;
  }

  private record OnnxBatch(OrtSession session, OnnxTensor x) implements Batch {
    @Override
    public void run() {
      forward().close();
    }

    @Override
    public float[] output() {
      try (OrtSession.Result result = forward()) {
        FloatBuffer y = ((OnnxTensor) result.get(0)).getFloatBuffer();
        float[] values = new float[y.remaining()];
        y.get(values);
        return values;
      }
    }

    @Override
    public void close() {
      x.close();
    }

    private OrtSession.Result forward() {
      try {
        return session.run(Map.of("x", x));
      } catch (OrtException e) {
        throw new IllegalStateException(e.getMessage(), e);
      }
    }
  }
}
