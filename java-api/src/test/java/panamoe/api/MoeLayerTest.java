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
import java.util.Random;
import java.util.function.DoubleSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The facade's layer as another framework uses it. */
class MoeLayerTest {
  private static final int TOKENS = 12;
  private static final int HIDDEN = 8;
  private static final LayerSettings SETTINGS =
      LayerSettings.of(HIDDEN, 16, 4, 2).withResidual(true);

  private static MemorySegment tokens(Arena arena, long seed) {
    MemorySegment segment = arena.allocate(ValueLayout.JAVA_FLOAT, (long) TOKENS * HIDDEN);
    Random random = new Random(seed);
    for (int i = 0; i < TOKENS * HIDDEN; i++) {
      segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return segment;
  }

  private static float[] floats(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_FLOAT);
  }

  @Test
  void theExampleRuns() {
    assertTrue(Double.isFinite(MoeLayerExample.run()));
  }

  static Stream<String> devices() {
    return Stream.of(System.getProperty("panamoe.test.backends", "reference,cpu,simt").split(","));
  }

  @ParameterizedTest
  @MethodSource("devices")
  void gradientsOfInputAndParametersMatchFiniteDifferences(String deviceName) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(deviceName, 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS.withCapacityFactor(0), 3)) {
      for (String name : layer.parameters().names()) {
        // Far from zero, so that the probes below see the layer bend.
        float[] values = parameter(layer, name);
        for (int i = 0; i < values.length; i++) {
          values[i] *= 15;
        }
        layer.parameters().write(name, MemorySegment.ofArray(values));
      }
      MemorySegment x = tokens(arena, 1);
      MemorySegment y = tokens(arena, 2);
      MemorySegment dy = tokens(arena, 3);
      MemorySegment dx = tokens(arena, 4);
      try (LayerStep step = layer.train(x, y, TOKENS, 5)) {
        assertEquals(TOKENS * 2, step.gate().tokensPerExpert().stream().mapToLong(n -> n).sum());
        step.backward(dy, dx);
        assertThrows(IllegalStateException.class, () -> step.backward(dy, dx));
      }
      probe("x", x, dx, () -> objective(layer, x, y, dy));
      for (String name : layer.parameters().names()) {
        MemorySegment values = MemorySegment.ofArray(parameter(layer, name));
        MemorySegment gradient = MemorySegment.ofArray(new float[(int) values.byteSize() / 4]);
        layer.parameters().readGradient(name, gradient);
        probe(
            name,
            values,
            gradient,
            () -> {
              layer.parameters().write(name, values);
              return objective(layer, x, y, dy);
            });
        layer.parameters().write(name, values);
      }
    }
  }

  private static float[] parameter(MoeLayer layer, String name) {
    float[] values =
        new float[(int) Arrays.stream(layer.parameters().shape(name)).reduce(1, (a, b) -> a * b)];
    layer.parameters().read(name, MemorySegment.ofArray(values));
    return values;
  }

  /** In place if the host can access them, otherwise a message explains how. */
  @ParameterizedTest
  @MethodSource("devices")
  void parametersAreTheCallersInPlaceOrByCopies(String deviceName) {
    try (Device device = Device.open(deviceName, 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 3)) {
      String name = layer.parameters().names().getFirst();
      float[] values = parameter(layer, name);
      if (deviceName.equals("reference") || deviceName.equals("cpu")) {
        assertArrayEquals(values, floats(layer.parameters().value(name)));
        layer.parameters().gradient(name).set(ValueLayout.JAVA_FLOAT, 0, 3);
        MemorySegment copy = MemorySegment.ofArray(new float[values.length]);
        layer.parameters().readGradient(name, copy);
        assertEquals(3, copy.get(ValueLayout.JAVA_FLOAT, 0));
      } else {
        for (Executable inPlace :
            new Executable[] {
              () -> layer.parameters().value(name), () -> layer.parameters().gradient(name)
            }) {
          String refusal = assertThrows(UnsupportedOperationException.class, inPlace).getMessage();
          assertTrue(refusal.contains("copy them by read"), refusal);
        }
      }
      values[0] = 42;
      layer.parameters().write(name, MemorySegment.ofArray(values));
      assertArrayEquals(values, parameter(layer, name));
      layer.parameters().writeGradient(name, MemorySegment.ofArray(values));
      float[] gradient = new float[values.length];
      layer.parameters().readGradient(name, MemorySegment.ofArray(gradient));
      assertArrayEquals(values, gradient);
      MemorySegment less = MemorySegment.ofArray(new float[values.length - 1]);
      for (Executable wrong :
          new Executable[] {
            () -> layer.parameters().read(name, less),
            () -> layer.parameters().write(name, less),
            () -> layer.parameters().readGradient(name, null),
            () -> layer.parameters().writeGradient(name, less),
            () -> layer.parameters().read("moe.nothing", less),
            () -> layer.parameters().read(name, MemorySegment.ofArray(values).asReadOnly())
          }) {
        assertThrows(PanamoeException.BadArgument.class, wrong);
      }
    }
  }

  private static void probe(
      String name, MemorySegment memory, MemorySegment gradient, DoubleSupplier objective) {
    Random random = new Random(name.hashCode());
    for (int i = 0; i < 4; i++) {
      long index = random.nextLong(memory.byteSize() / 4);
      float saved = memory.getAtIndex(ValueLayout.JAVA_FLOAT, index);
      float step = 1e-3f;
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, saved + step);
      double above = objective.getAsDouble();
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, saved - step);
      double below = objective.getAsDouble();
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, saved);
      double expected = (above - below) / (2 * step);
      double actual = gradient.getAtIndex(ValueLayout.JAVA_FLOAT, index);
      assertEquals(expected, actual, 5e-3 + 2e-2 * Math.abs(expected), name + "[" + index + "]");
    }
  }

  private static double objective(
      MoeLayer layer, MemorySegment x, MemorySegment y, MemorySegment dy) {
    try (LayerStep step = layer.train(x, y, TOKENS, 5)) {
      double sum = layer.settings().auxiliaryCoefficient() * step.gate().auxiliaryLoss();
      for (int i = 0; i < TOKENS * HIDDEN; i++) {
        sum +=
            (double) y.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                * dy.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      }
      return sum;
    }
  }

  @Test
  void evaluatesOnTheCallersMemory() {
    try (Arena arena = Arena.ofConfined();
        Device cpu = Device.open("cpu", 2);
        Device reference = Device.open("reference", 1);
        MoeLayer fast = MoeLayer.create(cpu, SETTINGS, 3);
        MoeLayer exact = MoeLayer.create(reference, SETTINGS, 3)) {
      MemorySegment x = tokens(arena, 1);
      float[] before = floats(x);
      MemorySegment y = tokens(arena, 2);
      MemorySegment expected = tokens(arena, 3);
      fast.forward(x, y, TOKENS);
      exact.forward(x, expected, TOKENS);
      assertArrayEquals(floats(expected), floats(y), 1e-5f);
      assertArrayEquals(before, floats(x));
      float[] once = floats(y);
      fast.forward(x, y, TOKENS);
      assertArrayEquals(once, floats(y));
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("reference", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 3)) {
      MemorySegment x = tokens(arena, 1);
      MemorySegment small = arena.allocate(16);
      MemorySegment heap = MemorySegment.ofArray(new float[TOKENS * HIDDEN]);
      assertThrows(PanamoeException.BadArgument.class, () -> layer.forward(x, small, TOKENS));
      assertThrows(PanamoeException.BadArgument.class, () -> layer.forward(heap, x, TOKENS));
      assertThrows(PanamoeException.BadArgument.class, () -> layer.forward(x, x, -1));
      assertThrows(
          PanamoeException.BadArgument.class, () -> layer.parameters().value("moe.nothing"));
      assertThrows(
          PanamoeException.BadArgument.class,
          () -> MoeLayer.create(device, LayerSettings.of(HIDDEN, 16, 4, 5), 1));
      assertThrows(PanamoeException.BadArgument.class, () -> Device.open("abacus", 1));
    }
  }

  /** Kernels get addresses: what the JVM would check of a segment is checked before. */
  @Test
  void memoryThatMayNotBeUsedIsAnExceptionNotACrash() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 3)) {
      MemorySegment x = tokens(arena, 1);
      MemorySegment y = tokens(arena, 2);
      assertThrows(
          PanamoeException.BadArgument.class, () -> layer.forward(x, y.asReadOnly(), TOKENS));
      MemorySegment gone;
      try (Arena closed = Arena.ofConfined()) {
        gone = tokens(closed, 3);
      }
      assertThrows(IllegalStateException.class, () -> layer.forward(gone, y, TOKENS));
      assertThrows(IllegalStateException.class, () -> layer.forward(x, gone, TOKENS));
      Arena early = Arena.ofConfined();
      MemorySegment input = tokens(early, 4);
      try (LayerStep step = layer.train(input, y, TOKENS, 5)) {
        early.close();
        assertThrows(IllegalStateException.class, () -> step.backward(y, x));
      }
    }
  }

  @Test
  void aClosedLayerIsAnExceptionNotACrash() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1)) {
      MoeLayer layer = MoeLayer.create(device, SETTINGS, 3);
      MemorySegment x = tokens(arena, 1);
      MemorySegment y = tokens(arena, 2);
      layer.close();
      layer.close();
      assertThrows(IllegalStateException.class, () -> layer.forward(x, y, TOKENS));
      assertFalse(layer.parameters().names().isEmpty());
    }
  }
}
