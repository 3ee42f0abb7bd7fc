package panamoe.quantize;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class CalibrationTest {
  private static final int LENGTH = 32;
  private static final String UP = "layers.1.moe.experts.up.weight";

  private final Backend backend = Backends.open("cpu", 2);
  private final LanguageModel model = new LanguageModel(config());
  private TokenWindows windows;

  private static ModelConfig config() {
    return new UniformModel(
            new ByteTokenizer().vocabularySize(),
            LENGTH,
            64,
            new UniformModel.Attention(2, 1, UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(
                96, Activation.SWIGLU, List.of(0, 8), true, GateConfig.dropless(1)),
            NormConfig.Kind.LAYER,
            true,
            0.1)
        .toConfig();
  }

  @BeforeEach
  void setUp() {
    model.materialize(backend, DType.FLOAT32, false, 3);
    ByteTokenizer bytes = new ByteTokenizer();
    String text = "Some words, then others, and 12 numbers. ".repeat(8);
    windows = new TokenWindows(Corpus.of(List.of(text)).tokens(bytes), bytes, LENGTH);
  }

  @AfterEach
  void close() {
    model.close();
    backend.close();
  }

  private Calibration calibrate(long tokens) {
    return Calibration.of(backend, model, windows, tokens, _ -> {});
  }

  @Test
  void lessThanAWindowIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> calibrate(LENGTH - 1));
  }

  private QuantizedMatrix up(int expert) {
    return ModelTensors.quantizedMatrices(config()).stream()
        .filter(matrix -> matrix.parameter().equals(UP) && matrix.expert() == expert)
        .findFirst()
        .orElseThrow();
  }

  private Parameter up() {
    return model.parameters().parameters().stream()
        .filter(parameter -> parameter.name().equals(UP))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void columnsWeighAsTheMeanSquaresOfTheRowsThatAnExpertGets() {
    double[][] squares = new double[8][64];
    long[] rows = new long[8];
    RouteObserver observer =
        new RouteObserver() {
          @Override
          public void observe(int layer, Routes routes) {}

          @Override
          public void multiplied(Tensor weights, Tensor x, Tensor offsets) {
            for (int e = 0; weights == up().value() && e < 8; e++) {
              for (int row = offsets.toInts()[e]; row < offsets.toInts()[e + 1]; row++) {
                rows[e]++;
                float[] values = x.rows(row, row + 1).toFloats();
                for (int column = 0; column < 64; column++) {
                  squares[e][column] += values[column] * values[column];
                }
              }
            }
          }
        };
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, 4 * LENGTH);
      windows.fill(0, ids, scope.allocate(DType.INT32, 4 * LENGTH));
      Pass pass = Pass.inference(backend, scope).observedBy(observer);
      model.forward(pass, ids, Sequences.Whole.of(scope, ids.count(), LENGTH), null, false);
    }
    Calibration calibration = calibrate(4 * LENGTH + 5); // only whole windows
    assertEquals(4 * LENGTH, calibration.tokens());
    long all = 0;
    for (int expert = 0; expert < 8; expert++) {
      assertEquals(rows[expert], calibration.tokens(up(expert)));
      all += rows[expert];
      float[] weights = calibration.weights(up(expert));
      double[] wanted = new double[64];
      for (int column = 0; column < 64; column++) {
        double layer = 0;
        for (double[] each : squares) {
          layer += each[column] / (4 * LENGTH);
        }
        wanted[column] = squares[expert][column] + 16 * layer;
      }
      double mean = IntStream.range(0, 64).mapToDouble(i -> wanted[i]).average().orElseThrow();
      for (int column = 0; column < 64; column++) {
        assertEquals(wanted[column] / mean + 1e-3, weights[column], 1e-4);
      }
    }
    assertEquals(4 * LENGTH, all, "top-1");
  }

  @Test
  void anExpertWithoutTokensIsTold() {
    model.parameters().parameters().stream()
        .filter(parameter -> parameter.part() == Parameter.Part.ROUTER)
        .forEach(parameter -> parameter.value().set(new float[(int) parameter.count()]));
    Calibration calibration = calibrate(Long.MAX_VALUE);
    long reached =
        IntStream.range(0, 8).filter(expert -> calibration.tokens(up(expert)) > 0).count();
    assertEquals(1, reached, "equal scores choose the first expert");
    for (int expert = 0; expert < 8; expert++) {
      float[] weights = calibration.weights(up(expert));
      assertEquals(calibration.reached(up(expert)), weights != null);
      for (int column = 0; weights != null && column < weights.length; column++) {
        assertTrue(weights[column] > 0);
      }
    }
  }

  @Test
  void aModelDoesNotDivergeFromItself() {
    Divergence same = Divergence.of(backend, model, model, windows, 1000, _ -> {});
    assertEquals(0, same.nats());
    assertEquals(same.before(), same.after());
    assertTrue(same.before().bitsPerByte() > 1);
  }
}
