package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static panamoe.testkit.FiniteDifference.assertGradient;

import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.Compare;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

class PreferenceOpTest {
  private static final int V = 7;
  private static final int M = 4;
  private static final double BETA = 0.5;
  private static final double DLOSS = 0.25;

  /** Two pairs; a text without targets between them fills a sequence. */
  private static final int[] TEXTS = {4, 3, 2, 5, 2};

  private static final int[] TARGETS = {-1, 3, 1, -1, -1, 6, 0, -1, -1, -1, -1, 2, -1, 5, 4, 4};
  private static final int[][] ANSWERS = {{1, 2}, {5, 6}, {11, 13}, {14, 15}};
  private static final double[] REFERENCE = {-4, -3.5, -3, -5};

  private record Inputs(Tensor hidden, Tensor weights, Tensor targets) {
    static Inputs of(Sample sample) {
      return new Inputs(sample.normal(16, M), sample.normal(V, M), sample.integers(TARGETS));
    }

    Tensor losses(Pass pass, Tensor rows, Tensor ids, float dloss) {
      return CrossEntropyOp.forward(pass, rows, weights, 0, ids, 0, dloss);
    }

    PreferenceOp.Sums forward(Pass pass, double... reference) {
      return PreferenceOp.forward(
          pass,
          this::losses,
          hidden,
          TEXTS,
          targets,
          new PreferenceOp.Reference(BETA, reference),
          DLOSS);
    }
  }

  /** The log-probabilities, losses and gradients, in double precision, as the paper has them. */
  private static final class Expected {
    final double[] logProbabilities = new double[ANSWERS.length];
    final double[] dhidden = new double[16 * M];
    final double[] dweights = new double[V * M];
    double loss;
    double margin;
    double right;

    Expected(float[] hidden, float[] weights) {
      double[][] softmax = new double[16][];
      for (int i = 0; i < ANSWERS.length; i++) {
        for (int row : ANSWERS[i]) {
          softmax[row] = softmax(hidden, weights, row);
          logProbabilities[i] += Math.log(softmax[row][TARGETS[row]]);
        }
      }
      for (int pair = 0; pair < ANSWERS.length; pair += 2) {
        double z =
            BETA
                * (logProbabilities[pair]
                    - REFERENCE[pair]
                    - (logProbabilities[pair + 1] - REFERENCE[pair + 1]));
        double sigmoid = 1 / (1 + Math.exp(-z));
        loss -= Math.log(sigmoid);
        margin += z;
        right += z > 0 ? 1 : 0;
        for (int side = 0; side < 2; side++) {
          double factor = DLOSS * BETA * (1 - sigmoid) * (side == 0 ? 1 : -1);
          for (int row : ANSWERS[pair + side]) {
            for (int v = 0; v < V; v++) {
              double dlogit = factor * (softmax[row][v] - (v == TARGETS[row] ? 1 : 0));
              for (int m = 0; m < M; m++) {
                dhidden[row * M + m] += dlogit * weights[v * M + m];
                dweights[v * M + m] += dlogit * hidden[row * M + m];
              }
            }
          }
        }
      }
    }

    private static double[] softmax(float[] hidden, float[] weights, int row) {
      double[] exp = new double[V];
      double sum = 0;
      for (int v = 0; v < V; v++) {
        double logit = 0;
        for (int m = 0; m < M; m++) {
          logit += (double) hidden[row * M + m] * weights[v * M + m];
        }
        exp[v] = Math.exp(logit);
        sum += exp[v];
      }
      for (int v = 0; v < V; v++) {
        exp[v] /= sum;
      }
      return exp;
    }
  }

  @EveryBackend
  void lossAndGradientsAreThoseOfDoublePrecisionAndOfFiniteDifferences(Backend backend) {
    try (Sample sample = new Sample(backend, 1);
        TensorScope scope = TensorScope.confined(backend)) {
      Inputs inputs = Inputs.of(sample);
      Expected expected = new Expected(inputs.hidden.toFloats(), inputs.weights.toFloats());
      Tensor dweights = scope.zeros(DType.FLOAT32, V, M);
      Tape tape = new Tape(backend);
      tape.watch(inputs.weights, new Gradient(backend, dweights));
      PreferenceOp.Sums sums = inputs.forward(Pass.evaluation(backend, scope, tape), REFERENCE);
      tape.backward();
      assertEquals(expected.loss, sums.loss(), 1e-6);
      assertEquals(expected.margin, sums.margin(), 1e-6);
      assertEquals(expected.right, sums.right());
      double nats = 0;
      for (double answer : expected.logProbabilities) {
        nats -= answer;
      }
      assertEquals(nats, sums.nats(), 1e-5);
      Tensor dhidden = tape.gradient(inputs.hidden);
      Compare.assertClose(expected.dhidden, dhidden, 1e-5);
      Compare.assertClose(expected.dweights, dweights, 1e-5);
      for (Tensor[] pair : new Tensor[][] {{inputs.hidden, dhidden}, {inputs.weights, dweights}}) {
        assertGradient(
            pair[0],
            pair[1],
            1e-3,
            () -> {
              try (TensorScope probe = TensorScope.confined(backend)) {
                return DLOSS * inputs.forward(Pass.inference(backend, probe), REFERENCE).loss();
              }
            });
      }
    }
  }

  @EveryBackend
  void aModelThatIsItsReferenceHasNoMargin(Backend backend) {
    try (Sample sample = new Sample(backend, 2);
        TensorScope scope = TensorScope.confined(backend)) {
      Inputs inputs = Inputs.of(sample);
      Pass pass = Pass.inference(backend, scope);
      double[] own =
          PreferenceOp.logProbabilities(pass, inputs::losses, inputs.hidden, TEXTS, inputs.targets);
      assertArrayEquals(
          new Expected(inputs.hidden.toFloats(), inputs.weights.toFloats()).logProbabilities,
          own,
          1e-5);
      PreferenceOp.Sums sums = inputs.forward(pass, own);
      assertEquals(0, sums.margin());
      assertEquals(2 * Math.log(2), sums.loss(), 1e-15);
    }
  }

  @EveryBackend
  void everyAnswerHasItsReference(Backend backend) {
    try (Sample sample = new Sample(backend, 3);
        TensorScope scope = TensorScope.confined(backend)) {
      Inputs inputs = Inputs.of(sample);
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> inputs.forward(Pass.inference(backend, scope), 1, 2));
      assertEquals(
          "there are 4 answers and 2 numbers of a reference, expected two of each for every pair",
          e.getMessage());
    }
  }
}
