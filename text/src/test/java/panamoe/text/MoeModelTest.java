package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.api.Precision;
import panamoe.api.internal.Access;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.data.ByteTokenizer;
import panamoe.io.ConfigJson;
import panamoe.testkit.Relay;
import panamoe.testkit.SmallRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A model trained briefly on one sentence, then opened and used like by a framework. */
class MoeModelTest {
  private static final GenerationOptions LONG = GenerationOptions.of(30);
  private static final ModelOptions BFLOAT16 = ModelOptions.USUAL.withPrecision(Precision.BFLOAT16);

  @TempDir private static Path folder;

  @BeforeAll
  static void train() {
    SmallRun.train(folder, 250);
  }

  @Test
  void writesWhatItLearnt() {
    try (Device device = Device.open("cpu", 2);
        MoeModel model = MoeModel.open(device, folder)) {
      StringBuilder streamed = new StringBuilder();
      String text = model.generate("Die Würde des ", LONG, streamed::append).text();
      assertEquals(text, streamed.toString());
      assertTrue(text.startsWith("Menschen ist"), text);
      assertEquals(List.of(), model.warnings());
      assertEquals("ü", model.decode(model.encode("ü")));
    }
  }

  @Test
  void anyThreadMayUseItAfterAnother() throws Exception {
    try (Relay relay = new Relay()) {
      Device device = relay.next(() -> Device.open("cpu", 1));
      MoeModel model = relay.next(() -> MoeModel.open(device, folder));
      String text = relay.next(() -> model.generate("Die Würde des ", LONG).text());
      assertTrue(text.startsWith("Menschen ist"), text);
      assertEquals(text, relay.next(() -> model.generate("Die Würde des ", LONG).text()));
      assertArrayEquals(
          relay.next(() -> model.nextLogits(1, 2, 3)),
          relay.next(() -> model.nextLogits(1, 2, 3)),
          0f);
      relay.next(
          () -> {
            model.close();
            device.close();
            return null;
          });
      assertThrows(IllegalStateException.class, () -> model.generate("x", GenerationOptions.of(1)));
    }
  }

  @Test
  void aSecondThreadIsRefused() throws Exception {
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      CountDownLatch inside = new CountDownLatch(1);
      CountDownLatch leave = new CountDownLatch(1);
      Thread user =
          Thread.ofPlatform()
              .name("first user")
              .start(
                  () ->
                      Access.to("device", device)
                          .lifetime()
                          .use(
                              () -> {
                                inside.countDown();
                                return await(leave);
                              }));
      await(inside);
      for (Executable call :
          List.<Executable>of(
              () -> MoeModel.open(device, folder), () -> model.nextLogits(1), model::close)) {
        String said = assertThrows(IllegalStateException.class, call).getMessage();
        assertTrue(said.contains("is in use by thread first user:"), said);
      }
      leave.countDown();
      user.join();
      assertTrue(model.generate("Die Würde des ", LONG).text().startsWith("Menschen ist"));
    }
  }

  /** A thread generates while another one closes: it gets one exception, and nothing else fails. */
  @Test
  void aModelIsClosedUnderAThreadThatDraws() throws Exception {
    try (Device device = Device.open("cpu", 1)) {
      MoeModel model = MoeModel.open(device, folder);
      CountDownLatch drawing = new CountDownLatch(1);
      FutureTask<IllegalStateException> worker =
          new FutureTask<>(
              () ->
                  assertThrows(
                      IllegalStateException.class,
                      () ->
                          model.generate(
                              "Die ",
                              GenerationOptions.of(1_000_000).withSlide(true),
                              _ -> drawing.countDown())));
      Thread.ofPlatform().name("worker").start(worker);
      await(drawing);
      model.close();
      IllegalStateException told = worker.get();
      assertEquals("the model was closed before the completion ended", told.getMessage());
      assertEquals(0, told.getSuppressed().length);
      MoeModel.open(device, folder).close();
    }
  }

  private static boolean await(CountDownLatch latch) {
    try {
      latch.await();
      return true;
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** A callback runs between the model's calls. */
  @Test
  void aCallbackMayCallItsModelAndCloseIt() {
    try (Device device = Device.open("cpu", 1)) {
      MoeModel model = MoeModel.open(device, folder);
      float[] logits = model.nextLogits(1);
      model.generate(
          "Die ", GenerationOptions.of(3), _ -> assertArrayEquals(logits, model.nextLogits(1), 0f));
      String said =
          assertThrows(
                  IllegalStateException.class,
                  () ->
                      model.generate(
                          "Die ",
                          GenerationOptions.of(1_000_000).withSlide(true),
                          _ -> model.close()))
              .getMessage();
      assertEquals("the model was closed before the completion ended", said);
    }
  }

  /** Java closes a file if its thread is interrupted; a completion ends. */
  @Test
  void anInterruptedThreadIsToldSoAndStaysInterrupted() {
    try (Device device = Device.open("cpu", 1)) {
      Thread.currentThread().interrupt();
      String said =
          assertThrows(CancellationException.class, () -> MoeModel.open(device, folder))
              .getMessage();
      assertTrue(Thread.interrupted());
      assertTrue(said.contains("interrupted"), said);
      try (MoeModel model = MoeModel.open(device, folder)) {
        Thread.currentThread().interrupt();
        GenerationResult none =
            model.generate("Die Würde des ", GenerationOptions.of(1_000_000).withSlide(true));
        assertEquals(FinishReason.CANCELLED, none.finishReason());
        assertTrue(Thread.interrupted());
      }
    }
  }

  @Test
  void whatACallbackThrowsReachesTheCaller() {
    try (Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      for (Throwable mine :
          List.of(
              new IllegalArgumentException("mine"),
              new NoClassDefFoundError("mine"),
              new StackOverflowError())) {
        Throwable thrown =
            assertThrows(
                Throwable.class,
                () -> model.generate("Die ", GenerationOptions.of(5), _ -> throwAny(mine)));
        assertSame(mine, thrown);
      }
    }
  }

  private static void throwAny(Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    throw (RuntimeException) thrown;
  }

  @Test
  void threadsChangeNoLogit() {
    float[][] logits = new float[2][];
    for (int threads = 1; threads <= 2; threads++) {
      try (Device device = Device.open("cpu", threads);
          MoeModel model = MoeModel.open(device, folder, BFLOAT16)) {
        logits[threads - 1] = model.nextLogits(model.encode("Die Würde"));
      }
    }
    assertArrayEquals(logits[0], logits[1], 0f);
  }

  @Test
  void refusesWhatDoesNotFit() throws Exception {
    try (Device device = Device.open("cpu", 1)) {
      Path nothing = folder.resolve("nothing");
      assertThrows(PanamoeException.BadModel.class, () -> MoeModel.open(device, nothing));
      Path empty = Files.createDirectories(folder.resolve("empty"));
      assertThrows(PanamoeException.BadModel.class, () -> MoeModel.open(device, empty));
      try (MoeModel model = MoeModel.open(device, folder)) {
        assertThrows(PanamoeException.BadArgument.class, model::nextLogits);
        assertThrows(PanamoeException.BadArgument.class, () -> model.nextLogits(100_000));
        assertThrows(PanamoeException.BadArgument.class, () -> model.decode(100_000));
        assertThrows(PanamoeException.BadArgument.class, () -> model.decode(-1));
      }
      assertThrows(PanamoeException.BadArgument.class, () -> MoeModel.open(null, folder));
      assertThrows(PanamoeException.BadArgument.class, () -> MoeModel.open(device, null));
    }
  }

  /** Complete files with correct checksums whose content is not a model. */
  @Test
  void refusesAModelThatIsNoneWhateverIsWrongWithIt(@TempDir Path run) throws Exception {
    ModelConfig config =
        ModelPresets.of(
            ModelPresets.Size.TINY,
            ModelPresets.Architecture.DENSE,
            new ByteTokenizer().vocabularySize());
    save(run, ConfigJson.tree(config), config.experts());
    assertTrue(refusal(run).contains("missing embedding.weight"), refusal(run));

    Files.writeString(run.resolve("tokenizer.json"), "{");
    assertTrue(refusal(run).contains("tokenizer.json"), refusal(run));

    save(run, JsonNodeFactory.instance.objectNode().put("hidden", "wide"), config.experts());
    assertTrue(refusal(run).contains("config.json, model: at $.hidden"), refusal(run));
  }

  private static void save(Path run, JsonNode model, List<Integer> experts) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.set("model", model);
    new CheckpointStore(run.resolve("checkpoints"), 1)
        .save(new CheckpointContents(1, json, json.objectNode(), experts, Map.of(), Map.of()));
  }

  private static String refusal(Path run) {
    try (Device device = Device.open("reference", 1)) {
      return assertThrows(PanamoeException.BadModel.class, () -> MoeModel.open(device, run))
          .getMessage();
    }
  }
}
