package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import panamoe.api.internal.Lifetime;
import panamoe.testkit.Floats;
import panamoe.testkit.Relay;

/** The threads that may use a device and its objects, and until when. */
class LifetimeTest {
  private static final int TOKENS = 8;
  private static final int HIDDEN = 16;
  private static final LayerSettings LAYER = LayerSettings.of(HIDDEN, 32, 4, 2).withResidual(true);
  private static final ModelSettings MODEL = ModelSettings.of(50, 16, 16, 2, List.of(0, 4));

  @Test
  void aSecondThreadIsRefusedAndNothingChanges() throws Exception {
    refuseBeside(Thread.ofPlatform().name("first user"), "thread first user");
    refuseBeside(Thread.ofVirtual().name("light user"), "virtual thread light user");
  }

  private static void refuseBeside(Thread.Builder builder, String name) throws Exception {
    try (Arena arena = Arena.ofShared();
        Device device = Device.open("cpu", 2);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1);
        TrainableModel model = TrainableModel.create(device, MODEL, 1)) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      MemorySegment ids = arena.allocate(ValueLayout.JAVA_INT, TOKENS);
      layer.forward(x, y, TOKENS);
      float[] before = Floats.of(y);
      LayerStep step = layer.train(x, y, TOKENS, 1);
      ModelStep modelStep = model.train(ids, ids, 1, TOKENS, 1);

      CountDownLatch inside = new CountDownLatch(1);
      CountDownLatch leave = new CountDownLatch(1);
      Thread user =
          builder.start(
              () ->
                  device
                      .lifetime()
                      .run(
                          () -> {
                            inside.countDown();
                            await(leave);
                          }));
      await(inside);
      List<Executable> calls =
          List.of(
              () -> layer.forward(x, y, TOKENS),
              () -> layer.train(x, y, TOKENS, 1),
              () -> layer.parameters().value("moe.experts.up.weight"),
              () -> layer.parameters().gradient("moe.experts.up.weight"),
              layer.parameters()::zeroGradients,
              () -> step.backward(y, x),
              () -> model.loss(ids, ids, 1, TOKENS),
              () -> model.forward(ids, y, 1, TOKENS),
              () -> model.train(ids, ids, 1, TOKENS, 1),
              () -> model.parameters().value("embedding.weight"),
              () -> model.parameters().gradient("embedding.weight"),
              model.parameters()::zeroGradients,
              () -> TrainableModel.create(device, MODEL, 1),
              modelStep::backward,
              () -> MoeLayer.create(device, LAYER, 1),
              step::close,
              modelStep::close,
              layer::close,
              model::close,
              device::close);
      for (Executable call : calls) {
        String said = assertThrows(IllegalStateException.class, call).getMessage();
        assertTrue(said.contains("is in use by " + name + ":"), said);
      }
      leave.countDown();
      user.join();

      step.backward(x, arena.allocate(TOKENS * HIDDEN * 4L, 4));
      modelStep.backward();
      layer.forward(x, y, TOKENS);
      assertArrayEquals(before, Floats.of(y), 0f);
    }
  }

  /** A worker whose model is closed gets one exception, and its own close none. */
  @Test
  void whatIsBeingClosedRefusesByName() throws Exception {
    CountDownLatch freeing = new CountDownLatch(1);
    CountDownLatch free = new CountDownLatch(1);
    Lifetime device = Lifetime.ofDevice("the device", () -> {});
    Lifetime model =
        device.begin(
            "the model",
            () -> {
              freeing.countDown();
              await(free);
            });
    Lifetime text = model.begin("the text", () -> {});
    Thread closer = Thread.ofPlatform().name("closer").start(model::close);
    await(freeing);
    assertEquals("the model is being closed by thread closer", refusal(() -> text.run(() -> {})));
    text.close();
    model.close();
    free.countDown();
    closer.join();
    assertEquals("the text is closed", refusal(() -> text.run(() -> {})));
    device.run(() -> {});
  }

  /** Steps of a thread that serves others go between the calls, which wait for one at most. */
  @Test
  void aCallWaitsForAStep() throws Exception {
    Lifetime device = Lifetime.ofDevice("the device", () -> {});
    Lifetime model = device.begin("the model", () -> {});
    CountDownLatch stepping = new CountDownLatch(1);
    CountDownLatch stepped = new CountDownLatch(1);
    Thread steps =
        Thread.ofPlatform()
            .start(
                () ->
                    model.turn(
                        () -> {
                          stepping.countDown();
                          await(stepped);
                          assertTrue(refusal(model::close).contains("in use by this thread"));
                        }));
    await(stepping);
    List<String> order = Collections.synchronizedList(new ArrayList<>());
    Thread caller = Thread.ofPlatform().start(() -> model.run(() -> order.add("call")));
    awaitWaiting(caller);
    Thread next = Thread.ofPlatform().start(() -> model.turn(() -> order.add("step")));
    awaitWaiting(next);
    stepped.countDown();
    for (Thread each : List.of(steps, caller, next)) {
      each.join();
    }
    assertEquals(List.of("call", "step"), order);

    CountDownLatch leave = new CountDownLatch(1);
    Thread inside = inside(model, leave);
    Thread waits = Thread.ofPlatform().start(() -> model.turn(() -> order.add("step")));
    awaitWaiting(waits);
    leave.countDown();
    inside.join();
    waits.join();
    model.run(() -> model.turn(() -> order.add("within")));
    assertEquals(List.of("call", "step", "step", "within"), order);
    device.close();
    assertEquals("the model is closed", refusal(() -> model.turn(() -> {})));
  }

  @Test
  void closeWhenIdleWaitsForTheCallThatRuns() throws Exception {
    Lifetime device = Lifetime.ofDevice("the device", () -> {});
    Lifetime model = device.begin("the model", () -> {});
    Lifetime other = device.begin("the other", () -> {});
    CountDownLatch leave = new CountDownLatch(1);
    Thread worker = inside(model, leave);
    Thread closer =
        Thread.ofPlatform().name("closer").start(() -> model.closeWhenIdle(Duration.ofDays(9)));
    awaitWaiting(closer);
    assertEquals("the model is being closed by thread closer", refusal(() -> model.run(() -> {})));
    assertTrue(refusal(() -> other.run(() -> {})).startsWith("the other is in use by thread"));
    leave.countDown();
    closer.join();
    worker.join();
    assertEquals("the model is closed", refusal(() -> model.run(() -> {})));
    other.run(() -> {});
  }

  @Test
  void closeWhenIdleSaysThatItHasWaitedInVain() throws Exception {
    Lifetime model = Lifetime.ofDevice("the model", () -> {});
    CountDownLatch leave = new CountDownLatch(1);
    Thread worker = inside(model, leave);
    assertEquals(
        "the model is still in use by thread worker after PT0.001S",
        refusal(() -> model.closeWhenIdle(Duration.ofMillis(1))));
    Thread.currentThread().interrupt();
    assertEquals(
        "the model is still in use by thread worker after PT24H",
        refusal(() -> model.closeWhenIdle(Duration.ofDays(1))));
    assertTrue(Thread.interrupted());
    leave.countDown();
    worker.join();
    model.run(() -> {});
    model.run(
        () ->
            assertTrue(
                refusal(() -> model.closeWhenIdle(Duration.ofDays(1)))
                    .startsWith("the model is in use by this thread"),
                "a wait for oneself"));
    assertThrows(PanamoeException.BadArgument.class, () -> model.closeWhenIdle(null));
    model.closeWhenIdle(Duration.ZERO);
    model.closeWhenIdle(Duration.ZERO);
  }

  private static String refusal(Executable call) {
    return assertThrows(IllegalStateException.class, call).getMessage();
  }

  /** A thread that is inside a call when this returns, until it may leave. */
  private static Thread inside(Lifetime life, CountDownLatch leave) {
    CountDownLatch inside = new CountDownLatch(1);
    Thread worker =
        Thread.ofPlatform()
            .name("worker")
            .start(
                () ->
                    life.run(
                        () -> {
                          inside.countDown();
                          await(leave);
                        }));
    await(inside);
    return worker;
  }

  private static void awaitWaiting(Thread thread) {
    while (thread.getState() != Thread.State.TIMED_WAITING) {
      Thread.onSpinWait();
    }
  }

  /** Java may be told to keep few frames of a stack, or none. */
  @Test
  void theRuleNeedsNoStackTrace() throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:MaxJavaStackTraceDepth=3",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                SecondThread.class.getName())
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    assertTrue(said.startsWith("the device is in use by thread worker:"), said);
  }

  /** Calls a device that another thread is inside of, and prints the refusal. */
  static final class SecondThread {
    private SecondThread() {}

    public static void main(String[] arguments) throws InterruptedException {
      Lifetime device = Lifetime.ofDevice("the device", () -> {});
      CountDownLatch leave = new CountDownLatch(1);
      Thread worker = inside(device, leave);
      try {
        device.run(() -> System.out.println("let in"));
      } catch (IllegalStateException e) {
        System.out.println(e.getMessage());
      }
      leave.countDown();
      worker.join();
    }
  }

  @Test
  void closingADeviceClosesWhatWasMadeOnIt() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      for (String name : List.of("cpu", "reference")) {
        Device device = Device.open(name, 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1);
        LayerStep step = layer.train(x, y, TOKENS, 1);
        MemorySegment weight = layer.parameters().value("moe.experts.up.weight");
        device.close();
        assertThrows(IllegalStateException.class, () -> weight.get(ValueLayout.JAVA_FLOAT, 0));
        String said =
            assertThrows(IllegalStateException.class, () -> layer.forward(x, y, TOKENS))
                .getMessage();
        assertEquals("the layer is closed", said);
        assertThrows(IllegalStateException.class, () -> step.backward(y, x));
        said =
            assertThrows(IllegalStateException.class, () -> MoeLayer.create(device, LAYER, 1))
                .getMessage();
        assertEquals("device " + name + " is closed", said);
        step.close();
        layer.close();
        device.close();
      }
    }
  }

  @Test
  void whatCouldNotBeFreedIsFreedWithTheDevice() {
    List<String> freed = new ArrayList<>();
    Lifetime device = Lifetime.ofDevice("the device", () -> freed.add("device"));
    Lifetime layer = device.begin("the layer", () -> freed.add("layer"));
    boolean[] fails = {true};
    layer.begin(
        "the step",
        () -> {
          if (fails[0]) {
            throw new IllegalStateException("not now");
          }
          freed.add("step");
        });
    assertThrows(IllegalStateException.class, layer::close);
    String said = assertThrows(IllegalStateException.class, () -> layer.run(() -> {})).getMessage();
    assertEquals("the layer is closed", said);
    fails[0] = false;
    device.close();
    assertEquals(List.of("layer", "step", "device"), freed);
  }

  /** Freed memory is reused: an old segment must not expose the new owner's weights. */
  @Test
  void aParametersMemoryDiesWithItsLayer() {
    for (String name : List.of("cpu", "reference")) {
      try (Device device = Device.open(name, 1)) {
        List<MemorySegment> dead = new ArrayList<>();
        MoeLayer old = MoeLayer.create(device, LAYER, 1);
        for (String parameter : old.parameters().names()) {
          dead.add(old.parameters().value(parameter));
          dead.add(old.parameters().gradient(parameter));
        }
        old.close();
        try (MoeLayer next = MoeLayer.create(device, LAYER, 2)) {
          float[] weights = Floats.of(next.parameters().value("moe.experts.up.weight"));
          for (MemorySegment segment : dead) {
            assertThrows(IllegalStateException.class, () -> segment.get(ValueLayout.JAVA_FLOAT, 0));
            assertThrows(
                IllegalStateException.class, () -> segment.set(ValueLayout.JAVA_FLOAT, 0, 1));
          }
          assertArrayEquals(
              weights, Floats.of(next.parameters().value("moe.experts.up.weight")), 0f);
        }
      }
    }
  }

  /** A call that overflows the stack at any point must not lock the device. */
  @Test
  void aStackOverflowLocksNobodyOut() throws Exception {
    try (Arena arena = Arena.ofShared();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1)) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      layer.forward(x, y, TOKENS); // so that no class is initialized at the end of the stack
      for (int round = 0; round < 100; round++) {
        Thread deep =
            new Thread(null, () -> overflow(() -> layer.forward(x, y, TOKENS)), "deep", 256 << 10);
        deep.start();
        deep.join();
        layer.forward(x, y, TOKENS);
      }
    }
  }

  /** Calls at every depth of a recursion that overflows. */
  private static void overflow(Runnable call) {
    try {
      overflow(call);
    } catch (StackOverflowError e) {
      try {
        call.run();
      } catch (StackOverflowError | NoClassDefFoundError again) {
        throw new StackOverflowError();
      }
    }
  }

  /** C's qsort sorts a parameter and calls back: the memory cannot be freed meanwhile. */
  @Test
  @SuppressWarnings("restricted")
  void whatANativeCallHasCannotBeClosed() throws Throwable {
    Linker linker = Linker.nativeLinker();
    FunctionDescriptor comparison =
        FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS);
    MethodHandle qsort =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("qsort"),
            FunctionDescriptor.ofVoid(
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS));
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, LAYER, 1)) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      LayerStep step = layer.train(x, y, TOKENS, 1);
      List<String> refusals = new ArrayList<>();
      Comparison closing =
          (_, _) -> {
            for (Runnable close : List.<Runnable>of(layer::close, device::close)) {
              try {
                close.run();
              } catch (IllegalStateException e) {
                refusals.add(e.getMessage());
              }
            }
            return 0;
          };
      MethodHandle compare =
          MethodHandles.lookup().bind(closing, "compare", comparison.toMethodType());
      MemorySegment weight = layer.parameters().value("moe.experts.up.weight");
      qsort.invokeExact(weight, 2L, 4L, linker.upcallStub(compare, comparison, arena));

      String refusal = "a native call that has not returned uses memory that is to be freed";
      assertEquals(List.of(refusal, refusal), refusals);
      step.backward(y, arena.allocate(TOKENS * HIDDEN * 4L, 4));
      layer.forward(x, y, TOKENS);
    }
  }

  /** The comparison for C's qsort. */
  public interface Comparison {
    int compare(MemorySegment a, MemorySegment b);
  }

  @Test
  void layersAndModelsGoFromThreadToThread() throws Exception {
    float[] onOneThread = trainOnce(Callable::call);
    try (Relay relay = new Relay()) {
      assertArrayEquals(onOneThread, trainOnce(relay::next), 0f);
    }
  }

  private interface Caller {
    <T> T next(Callable<T> call) throws Exception;
  }

  private static float[] trainOnce(Caller relay) throws Exception {
    float[] results = new float[3];
    try (Arena arena = Arena.ofShared()) {
      MemorySegment x = Floats.normals(arena, TOKENS * HIDDEN, 1);
      MemorySegment y = Floats.normals(arena, TOKENS * HIDDEN, 2);
      MemorySegment dx = Floats.normals(arena, TOKENS * HIDDEN, 3);
      Device device = relay.next(() -> Device.open("cpu", 2));
      MoeLayer layer = relay.next(() -> MoeLayer.create(device, LAYER, 1));
      LayerStep step = relay.next(() -> layer.train(x, y, TOKENS, 1));
      relay.next(
          () -> {
            step.backward(y, dx);
            return null;
          });
      results[0] = relay.next(() -> dx.get(ValueLayout.JAVA_FLOAT, 0));
      results[1] =
          relay.next(
              () ->
                  layer
                      .parameters()
                      .gradient("moe.experts.up.weight")
                      .get(ValueLayout.JAVA_FLOAT, 0));
      TrainableModel model = relay.next(() -> TrainableModel.create(device, MODEL, 1));
      MemorySegment ids = arena.allocate(ValueLayout.JAVA_INT, TOKENS);
      ModelStep modelStep = relay.next(() -> model.train(ids, ids, 1, TOKENS, 1));
      relay.next(
          () -> {
            modelStep.backward();
            modelStep.close();
            model.close();
            return null;
          });
      results[2] = (float) modelStep.loss();
      relay.next(
          () -> {
            step.close();
            layer.close();
            device.close();
            return null;
          });
      return results;
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
