package panamoe.lab.conformance.torch;

import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.lab.conformance.replay.Replay;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The softmax p of rows of logits [N, C], which the runtime has within its kernels only. Attention
 * is one: with head size 1, query 1, the logits as keys and a table v as values, the last token's
 * output is the mean of v under p, its logsumexp the row's, and its gradients are p itself and
 * {@code p (v - mean)}.
 *
 * @param mean of the values under p [N]
 * @param logSumExp [N]
 * @param probability p [N, C]
 * @param gradient of the mean by the logits [N, C]
 */
record Softmax(float[] mean, float[] logSumExp, float[] probability, float[] gradient) {

  static Softmax of(Replay replay, float[] logits, float[] values, int columns) {
    Backend backend = replay.backend();
    int rows = logits.length / columns;
    long[] shape = {rows, columns, 1, 1};
    Tensor q = replay.constant(1, shape);
    Tensor k = replay.tensor(logits, shape);
    Tensor v = replay.tensor(values, shape);
    Tensor out = replay.scope().allocate(DType.FLOAT32, shape);
    Tensor logSumExp = replay.scope().allocate(DType.FLOAT32, rows, 1, columns);
    AttentionSettings settings = AttentionSettings.causal(1);
    AttentionInputs inputs = new AttentionInputs(q, k, v);
    backend.attentionForward(settings, inputs, out, logSumExp);
    Tensor dout = replay.scope().zeros(DType.FLOAT32, shape);
    for (int row = 0; row < rows; row++) {
      dout.setFloat((long) (row + 1) * columns - 1, 1);
    }
    Tensor dq = replay.scope().allocate(DType.FLOAT32, shape);
    Tensor dk = replay.scope().allocate(DType.FLOAT32, shape);
    Tensor dv = replay.scope().allocate(DType.FLOAT32, shape);
    backend.attentionBackward(
        settings, inputs, out, logSumExp, dout, new AttentionGradients(dq, dk, dv));
    return new Softmax(
        last(out, rows, columns), last(logSumExp, rows, columns), dv.toFloats(), dk.toFloats());
  }

  /** {@code logits - logsumexp} [N, C]. */
  float[] logOf(float[] logits) {
    float[] result = new float[logits.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = logits[i] - logSumExp[i / (logits.length / logSumExp.length)];
    }
    return result;
  }

  private static float[] last(Tensor tensor, int rows, int columns) {
    float[] result = new float[rows];
    for (int row = 0; row < rows; row++) {
      result[row] = tensor.getFloat((long) (row + 1) * columns - 1);
    }
    return result;
  }
}
