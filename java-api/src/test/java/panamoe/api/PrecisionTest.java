package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.testkit.Floats;

/** Layers and models in BFLOAT16. */
class PrecisionTest {
  private static final int TOKENS = 6;
  private static final int HIDDEN = 16;
  private static final LayerSettings LAYER = LayerSettings.of(HIDDEN, 32, 4, 2).withResidual(true);

  private final Arena arena = Arena.ofAuto();

  /** FLOAT32 numbers rounded to their upper halves. */
  private MemorySegment cut(MemorySegment floats) {
    long count = floats.byteSize() / 4;
    MemorySegment halves = arena.allocate(2 * count, 2);
    for (long i = 0; i < count; i++) {
      halves.setAtIndex(
          ValueLayout.JAVA_SHORT, i, (short) (floats.getAtIndex(ValueLayout.JAVA_INT, i) >>> 16));
    }
    return halves;
  }

  private MemorySegment widen(MemorySegment halves) {
    long count = halves.byteSize() / 2;
    MemorySegment floats = arena.allocate(4 * count, 4);
    for (long i = 0; i < count; i++) {
      floats.setAtIndex(
          ValueLayout.JAVA_INT, i, halves.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
    }
    return floats;
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu"})
  void aLayerTakesAndGivesBfloat16(String name) {
    MemorySegment x = cut(Floats.normals(arena, TOKENS * HIDDEN, 1));
    MemorySegment y = arena.allocate(x.byteSize(), 2);
    MemorySegment dx = arena.allocate(x.byteSize(), 2);
    MemorySegment wide = arena.allocate(2 * x.byteSize(), 4);
    MemorySegment wideDx = arena.allocate(2 * x.byteSize(), 4);
    try (Device device = Device.open(name, 1);
        MoeLayer half = MoeLayer.create(device, LAYER, Execution.BFLOAT16, 3);
        MoeLayer full = MoeLayer.create(device, LAYER, 3)) {
      for (String parameter : half.parameters().names()) {
        Floats.fill(full.parameters().value(parameter), parameter.hashCode());
        half.parameters().write(parameter, full.parameters().value(parameter));
      }
      try (LayerStep step = half.train(x, y, TOKENS, 1)) {
        step.backward(y, dx);
      }
      try (LayerStep step = full.train(widen(x), wide, TOKENS, 1)) {
        step.backward(wide, wideDx);
      }
      near(Floats.of(wide), Floats.of(widen(y)));
      near(Floats.of(wideDx), Floats.of(widen(dx)));
      MemorySegment again = arena.allocate(x.byteSize(), 2);
      half.forward(x, again, TOKENS);
      assertArrayEquals(bytes(y), bytes(again));
      half.parameters().value("moe.mlp.down.bias").fill((byte) 0);
      half.forward(x, again, TOKENS);
      float[] before = Floats.of(widen(y));
      assertNotEquals(before[0], Floats.of(widen(again))[0]);
      // A parameter whose memory was handed out is rounded before each use.
      MemorySegment down = half.parameters().value("moe.mlp.down.weight");
      down.fill((byte) 0);
      half.parameters().value("moe.coefficient.bias").setAtIndex(ValueLayout.JAVA_FLOAT, 1, 1e4f);
      half.forward(x, again, TOKENS);
      assertArrayEquals(new float[TOKENS * HIDDEN], Floats.of(widen(again)), 0f);
      MemorySegment odd = arena.allocate(x.byteSize() + 2, 2).asSlice(1, x.byteSize());
      assertThrows(PanamoeException.BadArgument.class, () -> half.forward(odd, again, TOKENS));
    }
  }

  private static byte[] bytes(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_BYTE);
  }

  /** Near, relative to the size of all numbers. */
  private static void near(float[] expected, float[] actual) {
    double difference = 0;
    double size = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(expected[i] - actual[i], 2);
      size += Math.pow(expected[i], 2);
    }
    double relative = Math.sqrt(difference / size);
    assertTrue(relative < 0.03, () -> "relative difference " + relative);
    assertTrue(relative > 0, "nothing was rounded");
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu"})
  void aModelTrainsInBfloat16(String name) {
    ModelSettings settings = ModelSettings.of(20, 16, 16, 2, List.of(0, 4));
    MemorySegment ids =
        arena.allocateFrom(ValueLayout.JAVA_INT, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    try (Device device = Device.open(name, 1);
        TrainableModel half = TrainableModel.create(device, settings, Execution.BFLOAT16, 3);
        TrainableModel full = TrainableModel.create(device, settings, 3)) {
      assertEquals(
          full.loss(ids, ids.asSlice(4), 1, 11), half.loss(ids, ids.asSlice(4), 1, 11), 0.02);
      AdamW optimizer = AdamW.begin(half, AdamWSettings.USUAL);
      double first = CheckpointExample.train(half, optimizer, ids, ids.asSlice(4), 11);
      for (int n = 0; n < 10; n++) {
        CheckpointExample.train(half, optimizer, ids, ids.asSlice(4), 11);
      }
      assertTrue(half.loss(ids, ids.asSlice(4), 1, 11) < first - 0.05);
    }
  }
}
