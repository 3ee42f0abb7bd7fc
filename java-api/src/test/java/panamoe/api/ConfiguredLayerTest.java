package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A layer from a configuration: DeepSeek-V3's gate, a shared expert, no biases. */
class ConfiguredLayerTest {
  private static final int TOKENS = 6;
  private static final int HIDDEN = 8;
  private static final String CONFIG =
      """
      {
        "kind": "MOE", "experts": 8, "inner": 12, "activation": "SWIGLU", "bias": false,
        "gate": {
          "topK": 2, "routerBias": false, "score": "SIGMOID",
          "choice": {"groups": 4, "chosenGroups": 2, "groupScore": "TOP2_SUM",
                     "correctionBias": true, "noise": "NONE"},
          "weight": {"normalization": "CHOSEN", "epsilon": 1e-9, "offset": 1e-20, "scale": 2.5},
          "capacity": {"policy": "DROPLESS", "factor": 1, "evaluationFactor": 1, "minimum": 0,
                       "queueOrder": "TOKEN_MAJOR"},
          "loss": {"overAllChoices": true, "auxiliary": 0, "z": 0}
        },
        "shared": {"inner": 16, "gated": true}
      }
      """;

  @Test
  void declaresWhatItsConfigurationNames() {
    try (Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, HIDDEN, CONFIG, 3)) {
      assertEquals(
          List.of(
              "moe.gate.weight",
              "moe.gate.correction",
              "moe.experts.up.weight",
              "moe.experts.down.weight",
              "moe.shared.up.weight",
              "moe.shared.down.weight",
              "moe.shared.gate.weight"),
          layer.parameters().names());
      assertArrayEquals(new long[] {8, 24, 8}, layer.parameters().shape("moe.experts.up.weight"));
      assertThrows(IllegalStateException.class, layer::settings);
    }
  }

  @Test
  void paddingIsSeenByNoExpert() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, HIDDEN, CONFIG, 3)) {
      MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, TOKENS * HIDDEN);
      Random random = new Random(1);
      for (int i = 0; i < TOKENS * HIDDEN; i++) {
        x.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
      }
      MemorySegment used = arena.allocate(TOKENS).fill((byte) 1);
      used.set(ValueLayout.JAVA_BYTE, 2, (byte) 0);
      MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, TOKENS * HIDDEN);
      MemorySegment whole = arena.allocate(ValueLayout.JAVA_FLOAT, TOKENS * HIDDEN);
      layer.forward(x, whole, TOKENS);
      layer.forward(x, used, y, TOKENS);
      for (int token = 0; token < TOKENS; token++) {
        boolean same = Arrays.equals(row(whole, token), row(y, token));
        assertEquals(token != 2, same, "token " + token);
      }
      try (LayerStep step = layer.train(x, used, y, TOKENS, 1)) {
        assertEquals(
            2 * (TOKENS - 1), step.gate().tokensPerExpert().stream().mapToLong(n -> n).sum());
        step.backward(y, whole);
        assertTrue(
            floats(layer.parameters().gradient("moe.shared.gate.weight")).length > 0
                && nonZero(layer.parameters().gradient("moe.shared.gate.weight")));
        assertFalse(
            nonZero(layer.parameters().gradient("moe.gate.correction")),
            "the choice has no gradient");
      }
      used.set(ValueLayout.JAVA_BYTE, 1, (byte) 7);
      PanamoeException refused =
          assertThrows(PanamoeException.BadArgument.class, () -> layer.forward(x, used, y, TOKENS));
      assertEquals("used[1] is 7, expected 0 or 1", refused.getMessage());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"groups\": 4 | \"groups\": 3 | config: choice.groups is 3, which does not divide 8",
        "\"topK\": 2 | \"topK\": 0 | config: at $.gate: topK is 0, expected 1 to 16",
        "\"kind\": \"MOE\", | | config: \"kind\" is missing, expected one of \"DENSE\", \"MOE\"",
        "\"inner\": 12, | | config: at $.inner: this key is missing",
        "\"gated\": true | \"gated\": true, \"gate\": 1 | config: unknown key \"gate\" at $.shared.gate",
      })
  void saysWhichKeyIsWrong(String before, String after, String expected) {
    String changed = CONFIG.replace(before, after == null ? "" : after);
    try (Device device = Device.open("cpu", 1)) {
      String message =
          assertThrows(
                  PanamoeException.BadArgument.class,
                  () -> MoeLayer.create(device, HIDDEN, changed, 1))
              .getMessage();
      assertTrue(message.startsWith(expected), message);
    }
  }

  private static float[] floats(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_FLOAT);
  }

  private static boolean nonZero(MemorySegment segment) {
    for (float value : floats(segment)) {
      if (value != 0) {
        return true;
      }
    }
    return false;
  }

  private static float[] row(MemorySegment rows, int token) {
    long bytes = 4L * HIDDEN;
    return floats(rows.asSlice(token * bytes, bytes));
  }
}
