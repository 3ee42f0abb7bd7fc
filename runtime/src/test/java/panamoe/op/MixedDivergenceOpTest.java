package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Against the definition in float64, its gradients by differences of it. */
class MixedDivergenceOpTest {
  private static final int SEQUENCES = 2;
  private static final int LENGTH = 5;
  private static final int FROM = 2;
  private static final int ROWS = SEQUENCES * LENGTH;
  private static final int HIDDEN = 3;
  private static final int VOCABULARY = 7;
  private static final float DLOSS = 0.5f;
  private static final float WEIGHT = 1.5f;

  private final Random random = new Random(1);
  private final float[] hidden = numbers(ROWS * HIDDEN);
  private final float[] weights = numbers(VOCABULARY * HIDDEN);
  private final float[] teacherHidden = numbers(ROWS * HIDDEN);
  private final float[] teacherWeights = numbers(VOCABULARY * HIDDEN);

  private float[] numbers(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static double[] logProbabilities(
      float[] hidden, float[] weights, int row, DoubleUnaryOperator bend, double temperature) {
    double[] logits = new double[VOCABULARY];
    for (int token = 0; token < VOCABULARY; token++) {
      double sum = 0;
      for (int i = 0; i < HIDDEN; i++) {
        sum += (double) hidden[row * HIDDEN + i] * weights[token * HIDDEN + i];
      }
      logits[token] = bend.applyAsDouble(sum) / temperature;
    }
    double total = Math.log(Arrays.stream(logits).map(Math::exp).sum());
    return Arrays.stream(logits).map(logit -> logit - total).toArray();
  }

  private static double divergence(double[] from, double[] of) {
    double sum = 0;
    for (int token = 0; token < VOCABULARY; token++) {
      sum += Math.exp(from[token]) * (from[token] - of[token]);
    }
    return sum;
  }

  private double expected(int row, double cap, double temperature, double mix) {
    if (row % LENGTH < FROM) {
      return 0;
    }
    DoubleUnaryOperator bend = cap > 0 ? z -> cap * Math.tanh(z / cap) : z -> z;
    double[] p = logProbabilities(hidden, weights, row, bend, temperature);
    double[] q =
        logProbabilities(
            teacherHidden, teacherWeights, row, DoubleUnaryOperator.identity(), temperature);
    return (1 - mix) * divergence(p, q) + mix * divergence(q, p);
  }

  private double objective(double cap, double temperature, double mix) {
    double sum = 0;
    for (int row = 0; row < ROWS; row++) {
      sum += DLOSS * WEIGHT * expected(row, cap, temperature, mix);
    }
    return sum;
  }

  @ParameterizedTest
  @CsvSource({"0, 1, 0", "0, 2, 0", "0, 1, 1", "1.5, 1, 0", "2, 0.7, 0.3"})
  void divergencesAndGradientsAreTheDefinitions(float cap, float temperature, double mix) {
    try (ReferenceBackend backend = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor x = scope.allocate(DType.FLOAT32, ROWS, HIDDEN).set(hidden);
      Tensor w = scope.allocate(DType.FLOAT32, VOCABULARY, HIDDEN).set(weights);
      DistillationOp.Teacher teacher =
          new DistillationOp.Teacher(
              temperature,
              WEIGHT,
              scope.allocate(DType.FLOAT32, ROWS, HIDDEN).set(teacherHidden),
              scope.allocate(DType.FLOAT32, VOCABULARY, HIDDEN).set(teacherWeights));
      Tape tape = new Tape(backend);
      Tensor dw = scope.zeros(DType.FLOAT32, VOCABULARY, HIDDEN);
      tape.watch(w, new Gradient(backend, dw));
      Pass pass = Pass.training(backend, scope, tape, 1, 1);
      float[] divergences =
          MixedDivergenceOp.forward(
                  pass, x, w, cap, teacher, mix, new MixedDivergenceOp.Tails(LENGTH, FROM), DLOSS)
              .toFloats();
      for (int row = 0; row < ROWS; row++) {
        assertEquals(expected(row, cap, temperature, mix), divergences[row], 1e-5, "row " + row);
      }
      tape.backward();
      assertSlopes(hidden, tape.gradient(x).toFloats(), cap, temperature, mix);
      assertSlopes(weights, dw.toFloats(), cap, temperature, mix);
    }
  }

  private void assertSlopes(
      float[] inputs, float[] gradients, double cap, double temperature, double mix) {
    float step = 1f / 1024;
    double most = 0;
    for (int i = 0; i < inputs.length; i++) {
      float before = inputs[i];
      inputs[i] = before + step;
      double above = objective(cap, temperature, mix);
      inputs[i] = before - step;
      double below = objective(cap, temperature, mix);
      double width = (double) (before + step) - (before - step);
      inputs[i] = before;
      assertEquals((above - below) / width, gradients[i], 2e-4, "element " + i);
      most = Math.max(most, Math.abs(gradients[i]));
    }
    assertTrue(most > 0.01, "the gradients are not 0");
  }
}
