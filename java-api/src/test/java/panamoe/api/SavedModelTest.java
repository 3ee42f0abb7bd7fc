package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.abi.NativeBackend;
import panamoe.testkit.Floats;
import panamoe.testkit.SmallRun;

/** Trainable models on disk. */
class SavedModelTest {
  private static final int LENGTH = 12;
  private static final int VOCABULARY = 30;
  private static final ModelSettings SETTINGS =
      ModelSettings.of(VOCABULARY, 16, 16, 2, List.of(2, 4))
          .withResidual(true)
          .withCapacityFactor(1); // drops by a random priority

  @TempDir private Path folder;
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment tokens = ids(1);
  private final MemorySegment targets = ids(2);

  private MemorySegment ids(long seed) {
    return arena.allocateFrom(
        ValueLayout.JAVA_INT, new Random(seed).ints(LENGTH, 0, VOCABULARY).toArray());
  }

  private double step(TrainableModel model, AdamW optimizer) {
    return CheckpointExample.train(model, optimizer, tokens, targets, LENGTH);
  }

  private static Map<String, List<Float>> parameters(TrainableModel model) {
    Map<String, List<Float>> all = new TreeMap<>();
    for (String name : model.parameters().names()) {
      float[] values =
          new float[(int) LongStream.of(model.parameters().shape(name)).reduce(1, (a, b) -> a * b)];
      model.parameters().read(name, MemorySegment.ofArray(values)); // from a GPU, too
      Stream.Builder<Float> boxed = Stream.builder();
      for (float value : values) {
        boxed.add(value);
      }
      all.put(name, boxed.build().toList());
    }
    return all;
  }

  static Stream<Arguments> devices() {
    String[] names = System.getProperty("panamoe.test.backends", "reference,cpu,simt").split(",");
    return Stream.concat(
        Stream.of(names).map(name -> Arguments.of(name, Precision.FLOAT32, false)),
        Stream.of(
            Arguments.of("cpu", Precision.BFLOAT16, false),
            Arguments.of("cpu", Precision.BFLOAT16, true)));
  }

  private TrainableModel begin(Device device, Execution execution, boolean adapted) {
    if (!adapted) {
      return TrainableModel.create(device, SETTINGS, execution, 5);
    }
    Path base = folder.resolve("base");
    try (TrainableModel model = TrainableModel.create(device, SETTINGS, 5)) {
      model.save(base, 0, Map.of());
    }
    return TrainableModel.adapt(device, base, Adapters.of(2, "all"), execution, 5);
  }

  @ParameterizedTest
  @MethodSource("devices")
  void trainingGoesOnBitForBit(String name, Precision precision, boolean adapted) {
    Execution execution = new Execution(precision, null);
    double loss = 0;
    Map<String, List<Float>> wanted;
    try (Device device = Device.open(name, 1);
        TrainableModel model = begin(device, execution, adapted)) {
      AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL);
      step(model, optimizer);
      step(model, optimizer);
      Path checkpoint = model.save(folder, optimizer);
      assertEquals(folder.resolve("checkpoints/step-00000002"), checkpoint);
      loss = step(model, optimizer);
      wanted = parameters(model);
    }
    try (Device device = Device.open(name, 1);
        TrainableModel model = TrainableModel.load(device, folder, execution)) {
      assertEquals(2, model.stepsBefore());
      AdamW optimizer = AdamW.resume(model, AdamWSettings.USUAL);
      assertEquals(2, optimizer.steps());
      assertEquals(loss, step(model, optimizer));
      assertEquals(wanted, parameters(model));
    }
  }

  @Test
  void anInterruptedLoadSaysSoAndNothingOfTheModel() {
    try (Device device = Device.open("reference", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 5)) {
      model.save(folder, 1, Map.of());
      Thread.currentThread().interrupt();
      String said =
          assertThrows(CancellationException.class, () -> TrainableModel.load(device, folder))
              .getMessage();
      assertTrue(Thread.interrupted());
      assertTrue(said.endsWith("the thread was interrupted"), said);
    }
  }

  @Test
  void aLoadBesideRapidSavesTakesTheNewest() {
    AtomicLong saved = new AtomicLong();
    CompletableFuture<Void> saves =
        CompletableFuture.runAsync(
            () -> {
              try (Device device = Device.open("reference", 1);
                  TrainableModel model = TrainableModel.create(device, SETTINGS, 5)) {
                for (long step = 1; step <= 20; step++) {
                  model.save(folder, step, Map.of());
                  saved.set(step);
                }
              }
            },
            work -> Thread.ofPlatform().start(work));
    try (Device device = Device.open("reference", 1)) {
      while (!saves.isDone()) {
        long before = saved.get();
        if (before > 0) {
          try (TrainableModel model = TrainableModel.load(device, folder)) {
            assertTrue(model.stepsBefore() >= before, model.stepsBefore() + " after " + before);
          }
        }
      }
    }
    saves.join();
  }

  @Test
  void anotherOptimizersStateComesBack() {
    MemorySegment momentum = Floats.normals(arena, 10, 3);
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 5)) {
      model.save(folder, 7, Map.of("momentum.embedding.weight", momentum));
      String refused =
          assertThrows(
                  PanamoeException.BadArgument.class,
                  () -> model.save(folder, 8, Map.of("a b", momentum)))
              .getMessage();
      assertTrue(refused.contains("a state is called a b"), refused);
      assertThrows(PanamoeException.BadArgument.class, () -> model.save(folder, -1, Map.of()));
    }
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.load(device, folder)) {
      assertEquals(7, model.stepsBefore());
      MemorySegment back = arena.allocate(ValueLayout.JAVA_FLOAT, 10);
      model.readState("momentum.embedding.weight", back);
      assertArrayEquals(Floats.of(momentum), Floats.of(back), 0f);
      assertThrows(PanamoeException.BadModel.class, () -> model.readState("other", back));
      MemorySegment small = arena.allocate(ValueLayout.JAVA_FLOAT, 9);
      assertThrows(
          PanamoeException.BadArgument.class,
          () -> model.readState("momentum.embedding.weight", small));
      String refused =
          assertThrows(
                  PanamoeException.BadModel.class, () -> AdamW.resume(model, AdamWSettings.USUAL))
              .getMessage();
      assertTrue(refused.contains("first_moment."), refused);
    }
  }

  @Test
  void twoCheckpointsStayAndDamageIsSeen() throws IOException {
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 5)) {
      for (int step = 1; step <= 3; step++) {
        model.save(folder, step, Map.of());
      }
      try (Stream<Path> saved = Files.list(folder.resolve("checkpoints"))) {
        assertEquals(
            List.of("latest", "step-00000002", "step-00000003"),
            saved.map(path -> path.getFileName().toString()).sorted().toList());
      }
      Path file = folder.resolve("checkpoints/step-00000003/model.safetensors");
      byte[] bytes = Files.readAllBytes(file);
      bytes[bytes.length - 1] ^= 1;
      Files.write(file, bytes);
      assertThrows(PanamoeException.BadModel.class, () -> TrainableModel.load(device, folder));
      assertThrows(
          PanamoeException.BadModel.class,
          () -> TrainableModel.load(device, folder.resolve("nothing")));
      try (TrainableModel earlier =
          TrainableModel.load(device, folder.resolve("checkpoints/step-00000002"))) {
        assertEquals(parameters(model), parameters(earlier));
      }
    }
  }

  @Test
  void aRunsCheckpointTrainsOn() {
    SmallRun.train(folder, 30);
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.load(device, folder)) {
      assertEquals(30, model.stepsBefore());
      AdamW optimizer = AdamW.resume(model, AdamWSettings.USUAL);
      double before = step(model, optimizer);
      step(model, optimizer);
      assertTrue(step(model, optimizer) < before);
      assertTrue(model.config().contains("\"vocabulary\""), model::config);
      try (TrainableModel again = TrainableModel.create(device, model.config(), 1)) {
        assertEquals(model.parameters().names(), again.parameters().names());
      }
    }
  }

  @Test
  void ranksSaveWhatOneLoads() {
    MemorySegment shared = Arena.global().allocateFrom(ValueLayout.JAVA_INT, ints(tokens));
    List<Double> losses =
        Ranks.onThreads(
            2,
            Degrees.of(2),
            Duration.ofMinutes(1),
            ranks -> {
              try (Device device = Device.open("cpu", 1);
                  TrainableModel model =
                      TrainableModel.create(device, SETTINGS, Execution.FLOAT32.over(ranks), 5)) {
                AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL);
                CheckpointExample.train(model, optimizer, shared, shared, LENGTH);
                model.save(folder, optimizer);
                String refused =
                    assertThrows(
                            PanamoeException.BadArgument.class,
                            () -> model.save(folder, 2, Map.of()))
                        .getMessage();
                assertTrue(refused.contains("AdamW"), refused);
                return model.loss(shared, shared, 1, LENGTH);
              }
            });
    assertEquals(losses.get(0), losses.get(1));
    double wanted;
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.load(device, folder)) {
      assertEquals(losses.get(0), model.loss(shared, shared, 1, LENGTH), 1e-5);
      AdamW optimizer = AdamW.resume(model, AdamWSettings.USUAL);
      wanted = CheckpointExample.train(model, optimizer, shared, shared, LENGTH);
    }
    List<Double> after =
        Ranks.onThreads(
            2,
            Degrees.of(1).withTensor(2),
            Duration.ofMinutes(1),
            ranks -> {
              try (Device device = Device.open("cpu", 1);
                  TrainableModel model =
                      TrainableModel.load(device, folder, Execution.FLOAT32.over(ranks))) {
                AdamW optimizer = AdamW.resume(model, AdamWSettings.USUAL);
                assertEquals(1, optimizer.steps());
                return CheckpointExample.train(model, optimizer, shared, shared, LENGTH);
              }
            });
    assertEquals(after.get(0), after.get(1));
    assertEquals(wanted, after.get(0), 1e-5);
  }

  private static int[] ints(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_INT);
  }

  @Test
  void adamWRefusesWhatIsWrong() {
    assertThrows(PanamoeException.BadArgument.class, () -> AdamW.begin(null, AdamWSettings.USUAL));
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 5);
        TrainableModel other = TrainableModel.create(device, SETTINGS, 5)) {
      AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL.withWeightDecay(0));
      assertThrows(PanamoeException.BadArgument.class, () -> optimizer.step(Double.NaN));
      assertThrows(PanamoeException.BadArgument.class, () -> optimizer.step(1e39));
      assertThrows(PanamoeException.BadArgument.class, () -> other.save(folder, optimizer));
      assertThrows(PanamoeException.BadModel.class, () -> AdamW.resume(model, AdamWSettings.USUAL));
      Map<String, List<Float>> before = parameters(model);
      optimizer.step(1); // all gradients are zero
      assertEquals(before, parameters(model));
      model
          .parameters()
          .gradient("embedding.weight")
          .setAtIndex(ValueLayout.JAVA_FLOAT, 3, Float.POSITIVE_INFINITY);
      String diverged =
          assertThrows(PanamoeException.Diverged.class, () -> optimizer.step(1)).getMessage();
      assertEquals("the gradients have no finite norm in step 2", diverged);
      assertEquals(before, parameters(model));
      assertEquals(1, optimizer.steps());
    }
  }

  @Test
  void aClosedOptimizerKeepsNoMemory() {
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, SETTINGS, 5)) {
      NativeBackend backend = (NativeBackend) device.backend();
      try (AdamW first = AdamW.begin(model, AdamWSettings.USUAL)) {
        first.step(1); // kernels' scratch memory grows
      }
      long before = backend.memoryUsage().inUse();
      AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL);
      optimizer.step(1);
      assertTrue(backend.memoryUsage().inUse() >= before + 8 * model.parameterCount());
      optimizer.close();
      optimizer.close();
      assertEquals(before, backend.memoryUsage().inUse());
      for (Executable call :
          List.<Executable>of(() -> optimizer.step(1), () -> model.save(folder, optimizer))) {
        assertEquals(
            "the optimizer is closed",
            assertThrows(IllegalStateException.class, call).getMessage());
      }
    }
  }

  @Test
  void theExampleRuns() {
    int length = 20;
    MemorySegment text = arena.allocate(ValueLayout.JAVA_INT, length + 1);
    byte[] bytes = "to be or not to be, that is".getBytes();
    for (int i = 0; i <= length; i++) {
      text.setAtIndex(ValueLayout.JAVA_INT, i, bytes[i]);
    }
    double loss = CheckpointExample.run(folder, text, text.asSlice(4), length);
    assertTrue(loss < Math.log(257), () -> "the loss is " + loss);
  }
}
