package panamoe.config;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.config.EmbeddingConfig.Relative;
import panamoe.engine.schedule.EncoderModel;
import panamoe.io.ConfigJson;

/** Configurations with an encoder and relative positions. */
class EncoderConfigTest {
  private static final Relative T5 = new Relative(32, 128);

  /** By T5's formula; rounding would show at exact powers. */
  @Test
  void bucketsAreThoseOfT5() {
    int[] away = {0, 1, 15, 16, 17, 18, 31, 32, 64, 113, 127, 128, 5000};
    int[] before = IntStream.of(away).map(n -> T5.bucket(-n, false)).toArray();
    assertArrayEquals(new int[] {0, 1, 15, 16, 16, 16, 21, 21, 26, 31, 31, 31, 31}, before);
    assertEquals(0, T5.bucket(3, false));
    int[] both = IntStream.of(0, 7, 8, 11, 12, 16, 32, 64, 90, 91, 128).toArray();
    assertArrayEquals(
        new int[] {0, 7, 8, 8, 9, 10, 12, 14, 14, 15, 15},
        IntStream.of(both).map(n -> T5.bucket(-n, true)).toArray());
    assertArrayEquals(
        new int[] {0, 23, 24, 24, 25, 26, 28, 30, 30, 31, 31},
        IntStream.of(both).map(n -> T5.bucket(n, true)).toArray());
  }

  @Test
  void aFileHoldsThem() {
    ModelConfig model = EncoderModel.of(64);
    assertEquals(model, ConfigJson.read(ConfigJson.tree(model), ModelConfig.class, "written"));
    assertFalse(ConfigJson.tree(EveryPart.model()).has("encoder"));
    assertFalse(ConfigJson.tree(EveryPart.model()).get("embedding").has("relative"));
  }

  private static void refused(String part, Runnable making) {
    String message = assertThrows(IllegalArgumentException.class, making::run).getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void whatDoesNotGoTogetherIsRefused() {
    ModelConfig model = EncoderModel.of(64);
    EncoderConfig encoder = model.encoder();
    refused(
        "startToken is 257, which is none of 0 to 256",
        () -> model.with(new EncoderConfig(encoder.blocks(), encoder.finalNorm(), 257)));
    refused("expected FULL in an encoder", () -> model.with(encoder.withBlocks(model.blocks())));
    refused("0 blocks", () -> encoder.withBlocks(List.of()));
    refused("expected FULL in an encoder", () -> model.withBlocks(encoder.blocks()));
    GroupedQueryConfig own = (GroupedQueryConfig) model.blocks().getFirst().attention();
    for (GroupedQueryConfig attention :
        List.of(
            own.with(own.scores().withSoftCap(30.0)),
            own.with(new GroupedQueryConfig.Temperature(0.1, 8)))) {
      refused(
          "without softCap and temperature",
          () -> model.withBlocks(List.of(model.blocks().getFirst().withAttention(attention))));
    }
    refused(
        "relative positions are for grouped-query attention",
        () -> model.withBlocks(EveryPart.model().blocks()));
    refused("by a relative bias alone", () -> EveryPart.model().with(encoder));
    refused("5 buckets", () -> new Relative(5, 128));
    refused("up to 16", () -> new Relative(32, 16));
    refused("neither trained nor given a loss", model::requireLoss);
    model.requireGeneration();
    assertEquals(
        Mask.FULL, EncoderConfig.cross(model.blocks().getFirst().attention()).scores().mask());
  }
}
