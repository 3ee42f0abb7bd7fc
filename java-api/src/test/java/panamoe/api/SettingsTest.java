package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Records of settings refuse what they alone can know, when they are made. */
class SettingsTest {
  private static final MemorySegment LOGITS = MemorySegment.ofArray(new float[4]);

  static Stream<Arguments> refusals() {
    return Stream.of(
        refused("logits is null", () -> new Teacher(null, 0.5, 1)),
        refused("alpha is -0.5", () -> new Teacher(LOGITS, -0.5, 1)),
        refused("alpha is 1.0E30", () -> new Teacher(LOGITS, 1e30, 1e6)),
        refused("temperature is 0.0", () -> new Teacher(LOGITS, 0.5, 0)),
        refused("temperature is NaN", () -> new Teacher(LOGITS, 0.5, Double.NaN)),
        refused("temperature is 1.0E39", () -> new Teacher(LOGITS, 0, 1e39)));
  }

  private static Arguments refused(String why, Runnable making) {
    return Arguments.of(why, making);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("refusals")
  void areRefusedWhenMade(String why, Runnable making) {
    String said = assertThrows(PanamoeException.BadArgument.class, making::run).getMessage();
    assertEquals(why, said.split(", expected")[0]);
  }
}
