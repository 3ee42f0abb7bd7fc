package panamoe.edit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import panamoe.backend.Routes;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class ExpertSaliencyTest {
  private static final int EXPERTS = 5;
  private static final int TOKENS = 8;

  /** What the experts of the layer get: their rows, and the routes that these belong to. */
  private static final class Inputs implements RouteObserver {
    private final RouteObserver observed;
    private float[] rows;
    private int[] offsets;
    private int[] experts;
    private int[] positions;
    private float[] weights;

    Inputs(RouteObserver observed) {
      this.observed = observed;
    }

    @Override
    public void observe(int layer, Routes routes) {
      offsets = routes.offsets().toInts();
      experts = routes.expert().toInts();
      positions = routes.position().toInts();
      weights = routes.weight().toFloats();
    }

    @Override
    public void multiplied(Tensor stack, Tensor x, Tensor starts) {
      rows = rows == null ? x.toFloats() : rows; // of the first matrix, not of the second
    }

    @Override
    public void combined(int layer, Routes routes, Tensor outputs) {
      observed.combined(layer, routes, outputs);
    }
  }

  /** Against the experts' MLP in float64: weight times norm, summed over an expert's routes. */
  @Test
  void anExpertsScoreIsTheMeanOfItsWeightedNorms() {
    ModelConfig config = TinyModel.of(GateConfig.dropless(2), EXPERTS);
    try (ReferenceBackend backend = new ReferenceBackend();
        LanguageModel model = new LanguageModel(config);
        TensorScope scope = TensorScope.confined(backend)) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      Map<String, Tensor> tensors = ModelTensors.masters(model);
      Random random = new Random(1); // biases begin as 0: these would hide one that is left out
      tensors.forEach(
          (name, tensor) -> {
            if (name.endsWith(".bias")) {
              float[] values = new float[(int) tensor.count()];
              for (int i = 0; i < values.length; i++) {
                values[i] = random.nextFloat() - 0.5f;
              }
              tensor.set(values);
            }
          });
      ExpertSaliency saliency = new ExpertSaliency(backend);
      double[] sums = new double[EXPERTS];
      long[] tokens = new long[EXPERTS];
      for (int part = 0; part < 2; part++) {
        Inputs inputs = new Inputs(saliency);
        int[] text = random.ints(TOKENS, 0, 11).toArray();
        Tensor ids = scope.allocate(DType.INT32, TOKENS).set(text);
        Pass pass = Pass.inference(backend, scope).observedBy(inputs);
        model.forward(pass, ids, Sequences.Whole.of(scope, TOKENS, TOKENS), null, false);
        for (int route = 0; route < inputs.experts.length; route++) {
          int expert = inputs.experts[route];
          int row = inputs.offsets[expert] + inputs.positions[route];
          sums[expert] += inputs.weights[route] * norm(tensors, expert, inputs.rows, row);
          tokens[expert]++;
        }
      }
      double[] scores = saliency.scores().get(0);
      assertEquals(4L * TOKENS, Arrays.stream(tokens).sum());
      for (int expert = 0; expert < EXPERTS; expert++) {
        double mean = tokens[expert] == 0 ? 0 : sums[expert] / tokens[expert];
        assertEquals(mean, scores[expert], 1e-5 * Math.max(1, mean), "expert " + expert);
      }
      assertTrue(Arrays.stream(scores).distinct().count() > 2, Arrays.toString(scores));
    }
  }

  private static double norm(Map<String, Tensor> tensors, int expert, float[] rows, int row) {
    double[] x = new double[TinyModel.HIDDEN];
    Arrays.setAll(x, i -> rows[row * TinyModel.HIDDEN + i]);
    double[] inner = linear(tensors, expert, "up", x);
    for (int i = 0; i < inner.length; i++) {
      double cubic = inner[i] + 0.044715 * Math.pow(inner[i], 3);
      inner[i] *= 0.5 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * cubic));
    }
    double squares = 0;
    for (double y : linear(tensors, expert, "down", inner)) {
      squares += y * y;
    }
    return Math.sqrt(squares);
  }

  private static double[] linear(
      Map<String, Tensor> tensors, int expert, String matrix, double[] x) {
    float[] weight = tensors.get(LayerNames.expert(0, expert, matrix + ".weight")).toFloats();
    float[] bias = tensors.get(LayerNames.expert(0, expert, matrix + ".bias")).toFloats();
    double[] y = new double[bias.length];
    for (int n = 0; n < y.length; n++) {
      y[n] = bias[n];
      for (int k = 0; k < x.length; k++) {
        y[n] += weight[n * x.length + k] * x[k];
      }
    }
    return y;
  }
}
