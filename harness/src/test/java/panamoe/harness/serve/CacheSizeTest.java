package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.tensor.DType;

class CacheSizeTest {
  /** Three layers of 2 key/value heads of 8 elements. */
  private static final ModelConfig MODEL =
      new UniformModel(
              256,
              64,
              32,
              4,
              2,
              48,
              List.of(0, 0, 0),
              true,
              GateConfig.dropless(1),
              Activation.GELU_TANH,
              NormConfig.Kind.LAYER,
              UniformModel.Positions.ROTARY,
              true,
              0.2)
          .toConfig();

  private static CacheSize of(DType dtype, long mib) {
    return CacheSize.of(MODEL, dtype, 1000, mib, 8 << 20);
  }

  @Test
  void aTokenHasKeysAndValuesOfEveryLayerAndBytesHaveScales() {
    assertEquals(3 * 2 * 2 * 8 * 4, of(DType.FLOAT32, 1).tokenBytes());
    assertEquals(3 * 2 * 2 * 8 * 2, of(DType.BFLOAT16, 1).tokenBytes());
    assertEquals(3 * 2 * 2 * (8 + 4), of(DType.INT8, 1).tokenBytes());
  }

  @Test
  void theMemoryThatIsSaidHoldsMoreOfThem() {
    assertEquals((1 << 20) / (16 * 384), of(DType.FLOAT32, 1).blocks());
    assertEquals((1 << 20) / (16 * 144), of(DType.INT8, 1).blocks());
    assertEquals("7,280 tokens (1.0 MiB)", of(DType.INT8, 1).toString());
    assertEquals((4 << 20) / (16 * 144), of(DType.INT8, 0).blocks());
    assertThrows(IllegalArgumentException.class, () -> of(DType.INT8, -1));
    assertEquals(1000 * MODEL.context() / 16, of(DType.INT8, 1 << 20).blocks());
  }
}
