package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.engine.EngineConfig;
import panamoe.tensor.DType;

class CacheSizeTest {
  /** Three layers of 2 key/value heads of 8 elements. */
  private static final ModelConfig MODEL =
      new UniformModel(
              256,
              64,
              32,
              new UniformModel.Attention(4, 2, UniformModel.Positions.ROTARY),
              new UniformModel.FeedForward(
                  48, Activation.GELU_TANH, List.of(0, 0, 0), true, GateConfig.dropless(1)),
              NormConfig.Kind.LAYER,
              true,
              0.2)
          .toConfig();

  private static CacheSize of(DType dtype, long mib) {
    return CacheSize.of(
        MODEL, dtype, EngineConfig.of(1000, MODEL.context()), mib, 8 << 20, "say less");
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

  /** Two of the layers have windows of 8 and 16 positions, and need few blocks. */
  @Test
  void windowsTakeWhatTheyNeed() {
    ModelConfig model = withWindows(8, 16, 0);
    EngineConfig most = new EngineConfig(1000 * 4, 16, 2, 32, 0, true, 0);
    int windows = 2 * (2 * (1 + 2) + 2);
    assertEquals(windows, most.windowBlocks(model.window()));
    CacheSize of = CacheSize.of(model, DType.FLOAT32, most, 1, 8 << 20, "say less");
    assertEquals(((1 << 20) - windows * 16 * 256) / (16 * 128), of.blocks());
    assertEquals(16 * (of.blocks() * 128 + windows * 256), of.bytes());
    assertEquals(16 * 3 * 384, of.withBlocks(3).bytes());
    // If every layer has a window, nothing else takes memory.
    ModelConfig all = withWindows(8, 16, 8);
    assertEquals(1000 * 4, CacheSize.of(all, DType.FLOAT32, most, 1, 8 << 20, "say less").blocks());
    // A window as long as the context does not count.
    assertEquals(16, withWindows(64, 16, 0).window());
  }

  private static ModelConfig withWindows(int... windows) {
    List<BlockConfig> blocks = new ArrayList<>();
    for (BlockConfig block : MODEL.blocks()) {
      GroupedQueryConfig old = (GroupedQueryConfig) block.attention();
      Scores scores = new Scores(Mask.CAUSAL, windows[blocks.size()], false, null);
      blocks.add(
          new BlockConfig(
              block.attentionNorm(),
              new GroupedQueryConfig(
                  old.heads(), old.biases(), old.queryKeyNorm(), old.clip(), old.rotary(), scores),
              block.feedForwardNorm(),
              block.feedForward()));
    }
    return MODEL.withBlocks(blocks);
  }
}
