package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.abi.NativeBackend;
import panamoe.testkit.Floats;

/** Layers on disk, for inference alone, and forwards that are repeated. */
class InferenceLayerTest {
  private static final int TOKENS = 16;
  private static final int HIDDEN = 64;
  private static final LayerSettings SETTINGS =
      LayerSettings.of(HIDDEN, 96, 8, 2).withResidual(true);

  @TempDir private Path folder;

  private static byte[] forward(MoeLayer layer, MemorySegment x, MemorySegment y) {
    layer.forward(x, y, TOKENS);
    return y.toArray(ValueLayout.JAVA_BYTE);
  }

  @ParameterizedTest
  @CsvSource({"cpu,FLOAT32", "cpu,BFLOAT16", "reference,FLOAT32"})
  void aSavedLayerComputesTheSameBits(String name, Precision precision) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(name, 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, new Execution(precision, null), 5)) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      if (precision == Precision.BFLOAT16) {
        for (int i = 0; i < TOKENS * HIDDEN; i++) {
          x.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (0x3f80 + i % 64));
        }
      }
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      byte[] expected = forward(layer, x, y);
      layer.save(folder);
      try (MoeLayer opened = MoeLayer.open(device, folder, precision);
          MoeLayer loaded = MoeLayer.load(device, folder, precision)) {
        assertArrayEquals(expected, forward(opened, x, y));
        assertArrayEquals(expected, forward(loaded, x, y));
        assertEquals(HIDDEN, opened.hidden());
        for (Executable call :
            List.<Executable>of(
                opened::parameters,
                () -> opened.train(x, y, TOKENS, 1),
                () -> opened.save(folder))) {
          assertEquals(
              "the layer was opened for inference, with packed weights and without gradients:"
                  + " load it",
              assertThrows(IllegalStateException.class, call).getMessage());
        }
        loaded.train(x, y, TOKENS, 1).close();
        loaded.save(folder); // over the one before
      }
      try (MoeLayer again = MoeLayer.open(device, folder, precision)) {
        assertArrayEquals(expected, forward(again, x, y));
      }
    }
  }

  /** For inference there are neither gradients nor originals. */
  @Test
  void aLayerForInferenceTakesTheMemoryOfItsWeights() {
    try (Device device = Device.open("cpu", 1)) {
      NativeBackend backend = (NativeBackend) device.backend();
      long parameters = 0;
      try (MoeLayer layer = MoeLayer.create(device, SETTINGS, 5)) {
        for (String name : layer.parameters().names()) {
          parameters += LongStream.of(layer.parameters().shape(name)).reduce(1, (a, b) -> a * b);
        }
        layer.save(folder);
      }
      long before = backend.memoryUsage().inUse();
      try (MoeLayer opened = MoeLayer.open(device, folder, Precision.BFLOAT16)) {
        long held = backend.memoryUsage().inUse() - before;
        assertEquals(Precision.BFLOAT16, opened.precision());
        assertEquals(2.0 * parameters, held, 0.2 * parameters, held + " bytes");
      }
      try (MoeLayer loaded = MoeLayer.load(device, folder, Precision.BFLOAT16)) {
        long held = backend.memoryUsage().inUse() - before;
        assertEquals(parameters, loaded.parameters().store().count());
        assertTrue(held >= 9 * parameters, held + " bytes");
      }
    }
  }

  @Test
  void filesThatAreNoLayerAreRefused() throws IOException {
    try (Device device = Device.open("cpu", 1)) {
      assertEquals(
          folder + " has no saved layer",
          assertThrows(
                  PanamoeException.BadModel.class,
                  () -> MoeLayer.open(device, folder, Precision.FLOAT32))
              .getMessage());
      try (TrainableModel model =
          TrainableModel.create(device, ModelSettings.of(50, 16, 16, 2, List.of(0, 4)), 1)) {
        model.save(folder.resolve("model"), 0, Map.of());
      }
      assertEquals(
          folder.resolve("model") + " is a model, expected a saved layer",
          assertThrows(
                  PanamoeException.BadModel.class,
                  () -> MoeLayer.load(device, folder.resolve("model"), Precision.FLOAT32))
              .getMessage());
      try (MoeLayer layer = MoeLayer.create(device, SETTINGS, 5)) {
        layer.save(folder);
      }
      Path weights;
      try (Stream<Path> files = Files.walk(folder.resolve("checkpoints"))) {
        weights =
            files
                .filter(file -> file.getFileName().toString().matches("model.*safetensors"))
                .findFirst()
                .orElseThrow();
      }
      byte[] damaged = Files.readAllBytes(weights);
      damaged[damaged.length - 1] ^= 1;
      Files.write(weights, damaged);
      assertThrows(
          PanamoeException.BadModel.class, () -> MoeLayer.open(device, folder, Precision.FLOAT32));
      assertThrows(PanamoeException.BadArgument.class, () -> MoeLayer.open(device, folder, null));
      assertThrows(
          PanamoeException.BadArgument.class, () -> MoeLayer.open(device, null, Precision.FLOAT32));
    }
  }

  @Test
  void aPreparedForwardReadsWhatItsMemoryHolds() throws IOException {
    try (Arena arena = Arena.ofShared();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 5)) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      MemorySegment other = Floats.normals(arena, TOKENS * HIDDEN, 3);
      PreparedForward prepared = layer.prepare(x, y, TOKENS);
      byte[] first = y.toArray(ValueLayout.JAVA_BYTE);
      assertArrayEquals(first, forward(layer, x, other));
      x.copyFrom(Floats.normals(arena, TOKENS * HIDDEN, 4));
      prepared.run();
      assertArrayEquals(forward(layer, x, other), y.toArray(ValueLayout.JAVA_BYTE));
      assertFalse(Arrays.equals(first, y.toArray(ValueLayout.JAVA_BYTE)));
      layer.parameters().value("moe.experts.up.weight").setAtIndex(ValueLayout.JAVA_FLOAT, 0, 9);
      prepared.run();
      assertArrayEquals(forward(layer, x, other), y.toArray(ValueLayout.JAVA_BYTE));

      x.setAtIndex(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
      String said = assertThrows(PanamoeException.Diverged.class, prepared::run).getMessage();
      assertTrue(said.startsWith("the layer gets or computes numbers that are not finite"), said);
      x.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 1);
      prepared.run();

      Arena mapped = Arena.ofShared();
      MemorySegment in = mapped(mapped, x.byteSize());
      PreparedForward copying = layer.prepare(in, y, TOKENS);
      in.copyFrom(x);
      copying.run();
      assertArrayEquals(forward(layer, x, other), y.toArray(ValueLayout.JAVA_BYTE));
      mapped.close();
      assertEquals(
          "the arena of x is closed",
          assertThrows(IllegalStateException.class, copying::run).getMessage());
      assertThrows(PanamoeException.BadArgument.class, () -> layer.prepare(x, x, TOKENS));
      prepared.close();
      prepared.close();
      assertEquals(
          "the prepared forward is closed",
          assertThrows(IllegalStateException.class, prepared::run).getMessage());
    }
  }

  private MemorySegment mapped(Arena arena, long bytes) throws IOException {
    try (FileChannel channel =
        FileChannel.open(
            folder.resolve("mapped"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
    }
  }

  @Test
  void aPreparedForwardMakesNoGarbage() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LayerSettings.of(8, 16, 4, 2), 5)) {
      MemorySegment x = Floats.normals(arena, 8, 1);
      MemorySegment y = Floats.normals(arena, 8, 2);
      try (PreparedForward prepared = layer.prepare(x, y, 1)) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        repeat(prepared); // until it is compiled
        long before = threads.getCurrentThreadAllocatedBytes();
        repeat(prepared);
        long perRun = (threads.getCurrentThreadAllocatedBytes() - before) / 20_000;
        assertTrue(perRun < 8, perRun + " bytes of garbage a run");
      }
    }
  }

  private static void repeat(PreparedForward prepared) {
    for (int i = 0; i < 20_000; i++) {
      prepared.run();
    }
  }

  @Test
  void arraysAreCopied() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 5);
        MoeLayer half = MoeLayer.create(device, SETTINGS, Execution.BFLOAT16, 5)) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      layer.forward(x, y, TOKENS);
      float[] values = Floats.of(x);
      layer.forward(values, values);
      assertArrayEquals(Floats.of(y), values, 0f);
      for (Executable wrong :
          List.<Executable>of(
              () -> layer.forward(new float[HIDDEN + 1], new float[HIDDEN + 1]),
              () -> layer.forward(values, new float[HIDDEN]),
              () -> layer.forward(null, values),
              () -> half.forward(values, values))) {
        assertThrows(PanamoeException.BadArgument.class, wrong);
      }
    }
  }

  @Test
  void theExampleRuns() {
    try (Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LayerSettings.of(64, 256, 8, 2), 5)) {
      layer.save(folder);
      assertTrue(
          Float.isFinite(
              MoeLayerExample.infer(device, folder, new float[][] {new float[16 * 64]})));
    }
  }
}
