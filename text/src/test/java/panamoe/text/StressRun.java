package panamoe.text;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;
import panamoe.api.Device;
import panamoe.api.LayerSettings;
import panamoe.api.LayerStep;
import panamoe.api.ModelSettings;
import panamoe.api.ModelStep;
import panamoe.api.MoeLayer;
import panamoe.api.PanamoeException;
import panamoe.api.Precision;
import panamoe.api.TrainableModel;
import panamoe.testkit.Floats;

/**
 * Many threads make random public calls on shared objects and shared memory, and concurrently
 * close, free, change and truncate them. Bystander threads compute on their own devices and must
 * always get the same bits. {@link StressRunTest} runs it in a separate JVM: {@code StressRun
 * MODEL-FOLDER THREADS SECONDS}. Exits with 0 if nothing but the documented exceptions was thrown.
 */
final class StressRun {
  private static final int HIDDEN = 32;
  private static final int MOST_TOKENS = 96;
  private static final int CONTEXT = 16;
  private static final int BYSTANDERS = 2;
  private static final int REHEARSALS = 10_000;
  private static final LayerSettings LAYER = LayerSettings.of(HIDDEN, 64, 8, 2).withResidual(true);
  private static final ModelSettings MODEL =
      ModelSettings.of(60, CONTEXT, 16, 2, List.of(0, 4)).withResidual(true);

  /** Memory that every thread uses, closes and changes. */
  private record Memory(Arena arena, MemorySegment segment, Path file) implements AutoCloseable {
    @Override
    public void close() {
      if (segment.isAccessibleBy(
          Thread.currentThread())) { // a confined arena is left to its thread
        arena.close();
      }
    }
  }

  /** How often a kind of call succeeded, and was refused. */
  private record Tally(AtomicLong succeeded, AtomicLong refused) {}

  private record Kind(String name, Tally tally, Consumer<SplittableRandom> call) {}

  private final Path folder;
  private final List<Kind> kinds = new ArrayList<>();
  private final AtomicReferenceArray<Device> devices = new AtomicReferenceArray<>(12);
  private final AtomicReferenceArray<MoeLayer> layers = new AtomicReferenceArray<>(24);
  private final AtomicReferenceArray<LayerStep> layerSteps = new AtomicReferenceArray<>(24);
  private final AtomicReferenceArray<TrainableModel> models = new AtomicReferenceArray<>(12);
  private final AtomicReferenceArray<ModelStep> modelSteps = new AtomicReferenceArray<>(12);
  private final AtomicReferenceArray<MoeModel> readers = new AtomicReferenceArray<>(6);
  private final AtomicReferenceArray<TextCompletion> texts = new AtomicReferenceArray<>(6);
  private final AtomicReferenceArray<MemorySegment> parameters = new AtomicReferenceArray<>(12);
  private final AtomicReferenceArray<Memory> memories = new AtomicReferenceArray<>(16);
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private volatile boolean over;

  private StressRun(Path folder) {
    this.folder = folder;
    kind(3, "open a device", random -> replace(devices, random, () -> openDevice(random)));
    kind(1, "close a device", random -> pick(devices, random).close());
    kind(
        8,
        "create a layer",
        random -> replace(layers, random, () -> MoeLayer.create(pick(devices, random), LAYER, 1)));
    kind(2, "close a layer", random -> pick(layers, random).close());
    kind(
        16,
        "forward",
        random -> pick(layers, random).forward(memory(random), memory(random), tokens(random)));
    kind(
        12,
        "train",
        random ->
            replace(
                layerSteps,
                random,
                () ->
                    pick(layers, random).train(memory(random), memory(random), tokens(random), 1)));
    kind(
        12,
        "backward",
        random -> pick(layerSteps, random).backward(memory(random), memory(random)));
    kind(3, "close a step", random -> pick(layerSteps, random).close());
    kind(6, "zero gradients", random -> pick(layers, random).parameters().zeroGradients());
    kind(8, "ask for a parameter", this::askForParameter);
    kind(8, "use a parameter", random -> touch(pick(parameters, random), random));
    kind(
        4,
        "lend a parameter",
        random -> pick(layers, random).forward(pick(parameters, random), memory(random), 1));
    kind(
        6,
        "create a model",
        random ->
            replace(models, random, () -> TrainableModel.create(pick(devices, random), MODEL, 1)));
    kind(1, "close a model", random -> pick(models, random).close());
    kind(
        8,
        "logits",
        random -> pick(models, random).forward(memory(random), memory(random), 2, length(random)));
    kind(
        8,
        "loss",
        random -> pick(models, random).loss(memory(random), memory(random), 2, length(random)));
    kind(
        8,
        "train a model",
        random ->
            replace(
                modelSteps,
                random,
                () ->
                    pick(models, random)
                        .train(memory(random), memory(random), 1, length(random), 1)));
    kind(8, "model's backward", random -> pick(modelSteps, random).backward());
    kind(
        4,
        "open a trained model",
        random ->
            replace(
                readers,
                random,
                () -> MoeModel.open(pick(devices, random), folder, options(random))));
    kind(6, "next logits", random -> pick(readers, random).nextLogits(1, 2, 3));
    kind(
        6,
        "generate",
        random ->
            pick(readers, random)
                .generate(
                    "Die ",
                    GenerationOptions.of(8).withSampling(Sampling.of(1, 1)),
                    text -> mischief(text, random)));
    kind(
        4,
        "submit a request",
        random ->
            texts.set(
                random.nextInt(texts.length()),
                TextService.of(pick(readers, random), ServiceOptions.USUAL)
                    .submit(TextRequest.of("Die ", GenerationOptions.of(8)))));
    kind(8, "next piece", random -> pick(texts, random).next());
    kind(2, "cancel a text", random -> pick(texts, random).cancel());
    kind(
        4,
        "encode and decode",
        random -> pick(readers, random).decode(pick(readers, random).encode("Würde")));
    kind(1, "close a trained model", random -> pick(readers, random).close());
    kind(12, "get memory", random -> replace(memories, random, () -> allocate(random)));
    kind(2, "free memory", random -> pick(memories, random).close());
    kind(8, "change memory", this::scribble);
    kind(2, "truncate a file", this::truncate);
  }

  /** A kind of call, made {@code weight} times as often as one of weight 1. */
  private void kind(int weight, String name, Consumer<SplittableRandom> call) {
    kinds.addAll(
        Collections.nCopies(
            weight, new Kind(name, new Tally(new AtomicLong(), new AtomicLong()), call)));
  }

  public static void main(String[] arguments) throws InterruptedException {
    StressRun storm = new StressRun(Path.of(arguments[0]));
    int threads = Integer.parseInt(arguments[1]);
    long seconds = Long.parseLong(arguments[2]);
    System.exit(storm.blow(threads, seconds));
  }

  private int blow(int count, long seconds) throws InterruptedException {
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int number = i;
      Runnable life = number < BYSTANDERS ? () -> standBy(number) : () -> rage(number, threads);
      threads.add(Thread.ofPlatform().name("storm-" + number).unstarted(life));
    }
    if (!rehearse()) {
      return 5;
    }
    threads.forEach(Thread::start);
    long start = System.nanoTime();
    while (failure.get() == null && System.nanoTime() - start < seconds * 1_000_000_000) {
      Thread.sleep(50);
    }
    over = true;
    for (Thread thread : threads) {
      thread.join(600_000);
      if (thread.isAlive()) {
        System.err.println(thread.getName() + " hangs:");
        Arrays.stream(thread.getStackTrace()).forEach(frame -> System.err.println("  at " + frame));
        return 4;
      }
    }
    Map<String, String> table = new TreeMap<>();
    for (Kind kind : kinds) {
      table.put(
          kind.name(),
          kind.tally().succeeded() + " succeeded, " + kind.tally().refused() + " were refused");
    }
    table.forEach((name, numbers) -> System.out.println(name + ": " + numbers));
    if (failure.get() != null) {
      failure.get().printStackTrace();
      return 3;
    }
    return 0;
  }

  /** Checks that every kind of call can succeed: one thread repeats each until it does. */
  private boolean rehearse() {
    SplittableRandom random = new SplittableRandom(0);
    for (Kind kind : kinds) {
      for (int i = 0; kind.tally().succeeded().get() == 0; i++) {
        if (i == REHEARSALS || failure.get() != null) {
          System.err.println("'" + kind.name() + "' never succeeds");
          return false;
        }
        attempt(kind, random);
        attempt(kinds.get(random.nextInt(kinds.size())), random);
      }
    }
    return true;
  }

  /** Random calls until the end of the run. */
  private void rage(int number, List<Thread> threads) {
    SplittableRandom random = new SplittableRandom(number);
    try {
      while (!over && failure.get() == null) {
        Kind kind = kinds.get(random.nextInt(kinds.size()));
        if (random.nextInt(16) == 0) {
          Thread.ofVirtual()
              .start(() -> attempt(kind, new SplittableRandom(random.nextLong())))
              .join();
        } else {
          attempt(kind, random);
        }
        if (random.nextInt(200) == 0) {
          threads.get(BYSTANDERS + random.nextInt(threads.size() - BYSTANDERS)).interrupt();
        }
      }
    } catch (InterruptedException e) {
      rage(number + threads.size(), threads); // again, with other numbers
    }
  }

  private void attempt(Kind kind, SplittableRandom random) {
    try {
      kind.call().accept(random);
      kind.tally().succeeded().incrementAndGet();
    } catch (Missing e) {
      Thread.interrupted(); // nothing there yet
    } catch (PanamoeException | IllegalStateException e) {
      kind.tally().refused().incrementAndGet();
      if (e.getMessage() == null || e.getMessage().isBlank()) {
        failure.compareAndSet(
            null, new AssertionError(kind.name() + " was refused without a word", e));
      }
      Thread.interrupted();
    } catch (RuntimeException | Error e) {
      failure.compareAndSet(
          null, new AssertionError(kind.name() + " threw what nobody documents", e));
    }
  }

  /** Computes on a device that no other thread uses; its results must not change. */
  private void standBy(int number) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", number + 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 7)) {
      MemorySegment x = Floats.normals(arena, MOST_TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, MOST_TOKENS * HIDDEN, 2);
      MemorySegment dx = Floats.normals(arena, MOST_TOKENS * HIDDEN, 3);
      MemorySegment weights = layer.parameters().value("moe.experts.up.weight");
      float[] expected = null;
      while (!over && failure.get() == null) {
        layer.parameters().zeroGradients();
        try (LayerStep step = layer.train(x, y, MOST_TOKENS, 1)) {
          step.backward(y, dx);
        }
        float[] now = Floats.of(dx);
        if (expected != null && !Arrays.equals(expected, now)) {
          throw new AssertionError("a bystander computed other bits");
        }
        expected = now;
        float first = weights.get(ValueLayout.JAVA_FLOAT, 0);
        weights.set(ValueLayout.JAVA_FLOAT, 0, first);
      }
    } catch (RuntimeException | Error e) {
      failure.compareAndSet(null, new AssertionError("a bystander was disturbed", e));
    }
  }

  private static ModelOptions options(SplittableRandom random) {
    return ModelOptions.USUAL
        .withPrecision(random.nextBoolean() ? Precision.FLOAT32 : Precision.BFLOAT16)
        .withSequences(1 + random.nextInt(3));
  }

  private Device openDevice(SplittableRandom random) {
    return Device.open(random.nextInt(12) == 0 ? "reference" : "cpu", 1 + random.nextInt(3));
  }

  private void askForParameter(SplittableRandom random) {
    MoeLayer layer = pick(layers, random);
    List<String> names = layer.parameters().names();
    String name = names.get(random.nextInt(names.size()));
    parameters.set(
        random.nextInt(parameters.length()),
        random.nextBoolean() ? layer.parameters().value(name) : layer.parameters().gradient(name));
  }

  private static void touch(MemorySegment parameter, SplittableRandom random) {
    long index = random.nextLong(parameter.byteSize() / 4);
    parameter.setAtIndex(
        ValueLayout.JAVA_FLOAT, index, parameter.getAtIndex(ValueLayout.JAVA_FLOAT, index));
    parameter.asSlice(0, 4).copyFrom(parameter.asSlice(parameter.byteSize() - 4));
  }

  /** In a callback. */
  private void mischief(String text, SplittableRandom random) {
    if (random.nextInt(20) == 0) {
      throw new IllegalStateException("the caller had enough of " + text);
    }
    if (random.nextInt(8) == 0) {
      pick(devices, random).close();
    }
  }

  private Memory allocate(SplittableRandom random) {
    long bytes = 4L * HIDDEN * MOST_TOKENS;
    return switch (random.nextInt(20)) {
      case 0, 1, 2 -> map(bytes);
      case 3 -> inArena(Arena.ofConfined(), bytes);
      default -> inArena(Arena.ofShared(), bytes);
    };
  }

  private static Memory inArena(Arena arena, long bytes) {
    return new Memory(arena, arena.allocate(bytes, 64), null);
  }

  private Memory map(long bytes) {
    Path file = folder.resolve("mapped-" + ThreadLocalRandom.current().nextInt(8));
    Thread.interrupted(); // which would close the channel
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      Arena arena = Arena.ofShared();
      return new Memory(arena, channel.map(MapMode.READ_WRITE, 0, bytes, arena), file);
    } catch (IOException e) {
      throw interruptedOr(e);
    }
  }

  private void truncate(SplittableRandom random) {
    Path file = pick(memories, random).file();
    if (file == null) {
      throw new Missing();
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.truncate(random.nextLong(1000));
    } catch (IOException e) {
      throw interruptedOr(e);
    }
  }

  private static RuntimeException interruptedOr(IOException e) {
    return e instanceof ClosedByInterruptException ? new Missing() : new UncheckedIOException(e);
  }

  /** Writes random numbers, some of them valid ids, during other threads' calls. */
  private void scribble(SplittableRandom random) {
    Memory memory = pick(memories, random);
    if (memory.file() != null || !memory.segment().isAccessibleBy(Thread.currentThread())) {
      throw new Missing(); // this thread itself would fail
    }
    boolean ids = random.nextInt(4) != 0;
    for (int i = 0; i < 200; i++) {
      memory
          .segment()
          .setAtIndex(ValueLayout.JAVA_INT, i, ids ? random.nextInt(60) : random.nextInt());
    }
  }

  private MemorySegment memory(SplittableRandom random) {
    MemorySegment segment = pick(memories, random).segment();
    return switch (random.nextInt(40)) {
      case 0 -> segment.asReadOnly();
      case 1 -> segment.asSlice(2);
      case 2 -> MemorySegment.ofArray(new float[HIDDEN * MOST_TOKENS]);
      case 3 -> null;
      case 4 -> Arena.ofAuto().allocate(segment.byteSize(), 4);
      default -> segment;
    };
  }

  private static long tokens(SplittableRandom random) {
    return random.nextInt(30) == 0 ? random.nextLong() : 1 + random.nextInt(MOST_TOKENS);
  }

  private static int length(SplittableRandom random) {
    return random.nextInt(30) == 0 ? random.nextInt() : 1 + random.nextInt(CONTEXT);
  }

  /** An object of the pool does not exist yet: an error of this run, not of the tested code. */
  private static final class Missing extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private static <T> T pick(AtomicReferenceArray<T> pool, SplittableRandom random) {
    T picked = pool.get(random.nextInt(pool.length()));
    if (picked == null) {
      throw new Missing();
    }
    return picked;
  }

  /** Puts a new object into the pool and closes the old one, if that does not refuse. */
  private static <T extends AutoCloseable> void replace(
      AtomicReferenceArray<T> pool, SplittableRandom random, Supplier<T> maker) {
    T old = pool.getAndSet(random.nextInt(pool.length()), maker.get());
    if (old != null) {
      closeUntilItLets(old);
    }
  }

  private static void closeUntilItLets(AutoCloseable old) {
    while (!closed(old)) {
      LockSupport.parkNanos(100_000);
    }
  }

  private static boolean closed(AutoCloseable old) {
    try {
      old.close();
      return true;
    } catch (IllegalStateException e) {
      return !(old instanceof Device || old instanceof Memory)
          || e.getMessage().contains("lready closed");
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }
}
