package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Calls whose activations exceed all memory: 512 KiB of each of 16 million tokens. */
class LargeCallsTest {
  private static final int INNER = 1 << 17;
  private static final long TOKENS = 1 << 24;

  private static void assertDoesNotFit(Executable call) {
    String said = assertThrows(OutOfMemoryError.class, call).getMessage();
    assertTrue(
        said.matches(
            "the activations of 16,777,216 tokens in a call take [\\d,.]+ GiB,"
                + " and [\\d,.]+ .iB are available"),
        said);
  }

  @Test
  void aLayersActivationsAreComparedWithTheMemoryThatIsFree() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LayerSettings.of(2, INNER, 2, 1), 1)) {
      MemorySegment x = arena.allocate(TOKENS * 2 * 4, 4);
      MemorySegment y = arena.allocate(TOKENS * 2 * 4, 4);
      assertDoesNotFit(() -> layer.forward(x, y, TOKENS));
      assertDoesNotFit(() -> layer.train(x, y, TOKENS, 1));
      for (long tokens : new long[] {1L << 31, -1, Long.MAX_VALUE}) {
        assertEquals(
            "tokens is " + tokens + ", expected 0 to 2147483647 in a call",
            assertThrows(PanamoeException.BadArgument.class, () -> layer.forward(x, y, tokens))
                .getMessage());
      }
    }
  }

  @Test
  void aModelsActivationsAreComparedWithTheMemoryThatIsFree() {
    int length = 1 << 10;
    int batch = 1 << 14;
    ModelSettings settings =
        ModelSettings.of(8, length, 2, 1, List.of(0))
            .with(new ModelSettings.FeedForward(INNER, Activation.GELU_TANH, false));
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, settings, 1)) {
      MemorySegment ids = arena.allocate(TOKENS * 4, 4);
      assertDoesNotFit(() -> model.forward(ids, ids, batch, length));
      assertDoesNotFit(() -> model.loss(ids, ids, batch, length));
      assertDoesNotFit(() -> model.train(ids, ids, batch, length, 1));
      String refused =
          assertThrows(
                  PanamoeException.BadArgument.class,
                  () -> model.forward(ids, ids, 1 << 21, length))
              .getMessage();
      assertEquals("tokens is 2147483648, expected 0 to 2147483647 in a call", refused);
    }
  }
}
