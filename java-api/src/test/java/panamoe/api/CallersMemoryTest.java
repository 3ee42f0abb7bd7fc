package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.param.ParameterStore;
import panamoe.testkit.Floats;

/** Other threads, other processes or callers change the memory of a running call. */
class CallersMemoryTest {
  private static final int TOKENS = 64;
  private static final int HIDDEN = 32;
  private static final int COUNT = TOKENS * HIDDEN;
  private static final LayerSettings LAYER = LayerSettings.of(HIDDEN, 64, 4, 2).withResidual(true);

  @TempDir private Path folder;

  /**
   * While a kernel runs, the arena refuses to close, or the call is refused: kernels never access
   * freed memory.
   */
  @Test
  void anArenaMayBeClosedDuringACall() throws Exception {
    try (Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1)) {
      for (int round = 0; round < 20; round++) {
        Arena arena = Arena.ofShared();
        MemorySegment x = Floats.normals(arena, COUNT, 1);
        MemorySegment y = Floats.normals(arena, COUNT, 2);
        AtomicBoolean calling = new AtomicBoolean();
        Thread closer =
            Thread.ofPlatform()
                .start(
                    () -> {
                      while (!calling.get()) {
                        Thread.onSpinWait();
                      }
                      while (arena.scope().isAlive()) {
                        try {
                          arena.close();
                        } catch (IllegalStateException e) {
                          Thread.onSpinWait(); // a call uses it
                        }
                      }
                    });
        String said = null;
        while (said == null && closer.isAlive()) {
          calling.set(true);
          said = refusalOf(() -> layer.forward(x, y, TOKENS));
        }
        closer.join();
        said = said == null ? refusalOf(() -> layer.forward(x, y, TOKENS)) : said;
        assertTrue(said.matches("the arena of [xy] (is|was) closed.*"), said);
      }
    }
  }

  private static String refusalOf(Runnable call) {
    try {
      call.run();
      return null;
    } catch (IllegalStateException e) {
      return e.getMessage();
    }
  }

  /** Of the forward's memory, the backward needs only x. */
  @Test
  void theOutputsMemoryMayGoBeforeTheBackward() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1)) {
      MemorySegment x = Floats.normals(arena, COUNT, 1);
      Arena early = Arena.ofConfined();
      MemorySegment y = Floats.normals(early, COUNT, 2);
      try (LayerStep step = layer.train(x, y, TOKENS, 1)) {
        early.close();
        step.backward(Floats.normals(arena, COUNT, 3), Floats.normals(arena, COUNT, 4));
      }
    }
  }

  @Test
  void aMappedFileIsComputedOnAndATruncatedOneIsRefused() throws IOException {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1);
        FileChannel file = open("x");
        FileChannel results = open("y")) {
      MemorySegment x = Floats.fill(file.map(MapMode.READ_WRITE, 0, COUNT * 4L, arena), 1);
      MemorySegment y = Floats.fill(results.map(MapMode.READ_WRITE, 0, COUNT * 4L, arena), 2);
      MemorySegment expected = Floats.normals(arena, COUNT, 3);
      layer.forward(Floats.normals(arena, COUNT, 1), expected, TOKENS);
      layer.forward(x, y, TOKENS);
      assertArrayEquals(Floats.of(expected), Floats.of(y), 0f);

      LayerStep step = layer.train(x, y, TOKENS, 1);
      file.truncate(0);
      String gone = "is mapped from was truncated, or its disk is full";
      refused("the file that x " + gone, () -> layer.forward(x, expected, TOKENS));
      results.truncate(0);
      refused("the file that y " + gone, () -> layer.forward(expected, y, TOKENS));
      refused("the file that dy " + gone, () -> step.backward(x, expected));
      step.backward(expected, Floats.normals(arena, COUNT, 4)); // uses its copy
    }
  }

  @Test
  void aTruncatedFileIsNoParameter() throws IOException {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1);
        FileChannel file = open("gate")) {
      Parameters parameters = layer.parameters();
      String gate = "moe.gate.weight";
      MemorySegment before = parameters.value(gate);
      float[] values = Floats.of(before);
      MemorySegment mapped = file.map(MapMode.READ_WRITE, 0, before.byteSize(), arena);
      parameters.read(gate, mapped);
      assertArrayEquals(values, Floats.of(mapped));
      parameters.write(gate, mapped);
      file.truncate(0);
      String gone = " is mapped from was truncated, or its disk is full";
      refused("the file that into" + gone, () -> parameters.read(gate, mapped));
      refused("the file that into" + gone, () -> parameters.readGradient(gate, mapped));
      refused("the file that from" + gone, () -> parameters.write(gate, mapped));
      refused("the file that from" + gone, () -> parameters.writeGradient(gate, mapped));
      assertArrayEquals(values, Floats.of(before));
    }
  }

  /** In compiled code the JVM reports a missing page late; the call must not end before. */
  @Test
  void aFileMayBeTruncatedDuringACall() throws Exception {
    try (Arena arena = Arena.ofShared();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1);
        FileChannel file = open("x")) {
      MemorySegment x = file.map(MapMode.READ_WRITE, 0, COUNT * 4L, arena);
      MemorySegment y = Floats.normals(arena, COUNT, 2);
      AtomicBoolean stop = new AtomicBoolean();
      Thread truncater =
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      resize(file, 0);
                      resize(file, COUNT * 4L);
                    }
                  });
      for (int i = 0; i < 3000; i++) {
        try {
          layer.forward(x, y, TOKENS);
        } catch (PanamoeException.BadArgument e) {
          assertEquals(
              "the file that x is mapped from was truncated, or its disk is full", e.getMessage());
        }
      }
      stop.set(true);
      truncater.join();
      layer.forward(Floats.normals(arena, COUNT, 1), y, TOKENS);
    }
  }

  private static void resize(FileChannel file, long bytes) {
    try {
      if (bytes == 0) {
        file.truncate(0);
      } else {
        file.write(ByteBuffer.wrap(new byte[] {1}), bytes - 1);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private FileChannel open(String name) throws IOException {
    return FileChannel.open(
        folder.resolve(name),
        StandardOpenOption.CREATE,
        StandardOpenOption.READ,
        StandardOpenOption.WRITE);
  }

  /** Ids are checked, then used as indices: a change in between must have no effect. */
  @Test
  void tokenIdsMayChangeDuringACall() throws InterruptedException {
    ModelSettings settings = ModelSettings.of(50, 16, 16, 2, List.of(0, 4));
    try (Arena arena = Arena.ofShared();
        Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, settings, 1)) {
      MemorySegment ids = arena.allocate(ValueLayout.JAVA_INT, 16);
      AtomicBoolean stop = new AtomicBoolean();
      Thread changer =
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      ids.setAtIndex(ValueLayout.JAVA_INT, 7, 1 << 30);
                      ids.setAtIndex(ValueLayout.JAVA_INT, 7, 3);
                    }
                  });
      for (int i = 0; i < 300; i++) {
        try (ModelStep step = model.train(ids, ids, 1, 16, 1)) {
          step.backward();
        } catch (PanamoeException.BadArgument e) {
          assertTrue(e.getMessage().contains("1073741824"), e.getMessage());
        }
      }
      stop.set(true);
      changer.join();
      assertTrue(Double.isFinite(model.loss(arena.allocate(64, 4), arena.allocate(64, 4), 1, 16)));
    }
  }

  @Test
  void resultsOverWhatACallReadsAreRefused() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1)) {
      MemorySegment memory = Floats.normals(arena, 3 * COUNT, 1);
      MemorySegment first = memory.asSlice(0, COUNT * 4L);
      MemorySegment across = memory.asSlice(COUNT * 2L, COUNT * 4L);
      MemorySegment last = memory.asSlice(COUNT * 8L, COUNT * 4L);
      MemorySegment dx = memory.asSlice(COUNT * 4L, COUNT * 4L);
      MemorySegment gradient = layer.parameters().gradient("moe.experts.up.weight");
      refused("y overlaps x", () -> layer.forward(first, first, TOKENS));
      refused("y overlaps x", () -> layer.forward(first, across, TOKENS));
      refused(
          "y overlaps moe.experts.up.weight",
          () -> layer.forward(first, layer.parameters().value("moe.experts.up.weight"), TOKENS));
      refused("y overlaps x", () -> layer.train(across, first, TOKENS, 1));
      try (LayerStep step = layer.train(first, last, TOKENS, 1)) {
        refused("dx overlaps dy", () -> step.backward(last, last));
        refused("dx overlaps x", () -> step.backward(last, across));
        refused(
            "dx overlaps the gradient of moe.experts.up.weight",
            () -> step.backward(last, gradient));
        refused(
            "dy overlaps the gradient of moe.experts.up.weight", () -> step.backward(gradient, dx));
        step.backward(last, dx); // the refused call left the step as it was
      }
      refused(
          "x overlaps the gradient of moe.experts.up.weight",
          () -> layer.train(gradient, last, TOKENS, 1));
      layer.forward(gradient, last, TOKENS);
    }
  }

  @Test
  void logitsOverParametersOrGradientsAreRefused() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(50, 16, 16, 2, List.of(0)), 1)) {
      MemorySegment ids = arena.allocate(4 * 4, 4);
      MemorySegment weight = model.parameters().value("embedding.weight");
      float[] before = Floats.of(weight);
      refused("logits overlaps embedding.weight", () -> model.forward(ids, weight, 1, 4));
      refused(
          "logits overlaps the gradient of embedding.weight",
          () -> model.forward(ids, model.parameters().gradient("embedding.weight"), 1, 4));
      assertArrayEquals(before, Floats.of(weight), 0f);
    }
  }

  @Test
  void nullsAndCountsBeyondAllMemoryAreRefused() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(50, 16, 16, 2, List.of(0)), 1)) {
      MemorySegment x = Floats.normals(arena, COUNT, 1);
      MemorySegment y = Floats.normals(arena, COUNT, 2);
      refused("x is null", () -> layer.forward(null, y, TOKENS));
      refused("y is null", () -> layer.train(x, null, TOKENS, 1));
      refused("tokens is 9223372036854775807", () -> layer.forward(x, y, Long.MAX_VALUE));
      refused("tokens is 2147483648", () -> layer.forward(x, y, 1L << 31));
      refused("tokens is -9223372036854775808", () -> layer.forward(x, y, Long.MIN_VALUE));
      refused("tokens is null", () -> model.forward(null, y, 1, 1));
      refused("targets is null", () -> model.loss(arena.allocate(4, 4), null, 1, 1));
      refused("batch is 0", () -> model.loss(x, x, 0, 1));
      refused("name is null", () -> layer.parameters().value(null));
      refused("name is null", () -> layer.parameters().shape(null));
      refused("settings is null", () -> MoeLayer.create(device, null, 1));
      refused("device is null", () -> MoeLayer.create(null, LAYER, 1));
      refused("device is null", () -> TrainableModel.create(null, model.settings(), 1));
      refused("name is null", () -> Device.open((String) null, 1));
      layer.forward(x, y, TOKENS);
    }
  }

  /** A failed backward has added to some gradients; a further one must not hide that. */
  @Test
  void gradientsThatWereAddedInPartAreZeroedFirst() {
    try (Device device = Device.open("cpu", 1);
        ParameterStore store = new ParameterStore()) {
      Parameters parameters = new Parameters(store, device.backend(), device.lifetime());
      Runnable failing =
          () -> {
            throw new OutOfMemoryError("halfway");
          };
      assertThrows(OutOfMemoryError.class, () -> parameters.addGradients(failing));
      String said =
          assertThrows(IllegalStateException.class, () -> parameters.addGradients(() -> {}))
              .getMessage();
      assertEquals(
          "an earlier backward failed after it had added to some gradients: call zeroGradients first",
          said);
      parameters.zeroGradients();
      parameters.addGradients(() -> {});
    }
  }

  private static void refused(String why, Runnable call) {
    String said = assertThrows(PanamoeException.BadArgument.class, call::run).getMessage();
    assertTrue(said.contains(why), said);
  }
}
