package panamoe.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.inference.Predictor;
import ai.djl.repository.zoo.ModelNotFoundException;
import ai.djl.translate.NoopTranslator;
import ai.djl.translate.TranslateException;
import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.testkit.SmallRun;
import panamoe.text.FinishReason;
import panamoe.text.GenerationOptions;
import panamoe.text.GenerationResult;
import panamoe.text.MoeModel;

/** A briefly trained model, loaded and used through DJL. */
class PanamoeEngineTest {
  private static final String PROMPT = "Die Würde";
  private static final int TOKENS = 20;
  private static final TextTranslator TRANSLATOR = new TextTranslator(GenerationOptions.of(TOKENS));

  @TempDir private static Path folder;

  @BeforeAll
  static void train() {
    SmallRun.train(folder, 30);
  }

  private static Model load(String... options) throws Exception {
    Model model = Model.newInstance("writer", "Panamoe");
    if (options.length == 0) {
      model.load(folder);
    } else {
      model.load(folder, null, Map.of(options[0], options[1]));
    }
    return model;
  }

  private static Predictor<String, GeneratedText> predictor(Model model) {
    return model.newPredictor(TRANSLATOR);
  }

  private static String expected() {
    try (panamoe.api.Device device = panamoe.api.Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, folder)) {
      return model.generate(PROMPT, GenerationOptions.of(TOKENS)).text();
    }
  }

  @Test
  void theExampleRuns() throws Exception {
    assertEquals(PanamoeEngineExample.run(folder), PanamoeEngineExample.run(folder));
  }

  @Test
  void djlFindsItAndPrefersOthers() {
    assertTrue(Engine.getAllEngines().contains("Panamoe"));
    assertEquals("PyTorch", Engine.getDefaultEngineName());
    assertFalse(Engine.getEngine("Panamoe").getVersion().isEmpty());
  }

  @Test
  void predictsWhatTheModelWrites() throws Exception {
    try (Model model = load();
        Predictor<String, GeneratedText> predictor = predictor(model)) {
      GeneratedText text = predictor.predict(PROMPT);
      assertFalse(text.hasNext());
      GenerationResult result = text.result();
      assertEquals(expected(), result.text());
      assertEquals(TOKENS, result.tokens().size());
      assertEquals(FinishReason.LENGTH, result.finishReason());
      List<String> texts = new ArrayList<>();
      for (GeneratedText each : predictor.batchPredict(List.of(PROMPT, PROMPT))) {
        texts.add(each.result().text());
      }
      assertEquals(List.of(expected(), expected()), texts);
    }
  }

  @Test
  void streamsTheSamePieceByPiece() throws Exception {
    try (Model model = load();
        Predictor<String, GeneratedText> predictor = predictor(model)) {
      assertTrue(predictor.supportsStreaming());
      GeneratedText text = predictor.streamingPredict(PROMPT).getIterativeOutput();
      List<String> pieces = new ArrayList<>();
      text.forEachRemaining(pieces::add);
      assertTrue(pieces.size() > 1, pieces.toString());
      assertEquals(expected(), String.join("", pieces));
      assertEquals(expected(), text.result().text());
    }
  }

  @Test
  void aTextThatIsLeftLocksNobodyOut() throws Exception {
    try (Model model = load();
        Predictor<String, GeneratedText> predictor = predictor(model)) {
      GeneratedText left = predictor.streamingPredict(PROMPT).getIterativeOutput();
      left.next();
      assertEquals(expected(), predictor.predict(PROMPT).result().text());
      left.close();
      left.close();
      assertFalse(left.hasNext());
      assertThrows(IllegalStateException.class, left::result);
      assertEquals(expected(), predictor.predict(PROMPT).result().text());
    }
  }

  @Test
  void threadsWriteSideBySideOrTakeTurns() throws Exception {
    writeOnFourThreads("4");
    writeOnFourThreads("1");
  }

  private static void writeOnFourThreads(String texts) throws Exception {
    String expected = expected();
    try (Model model = load("sequences", texts);
        var threads = Executors.newFixedThreadPool(4)) {
      Callable<String> write =
          () -> {
            try (Predictor<String, GeneratedText> predictor = predictor(model);
                GeneratedText text = predictor.streamingPredict(PROMPT).getIterativeOutput()) {
              return text.result().text();
            }
          };
      for (Future<String> text :
          threads.invokeAll(IntStream.range(0, 4).mapToObj(_ -> write).toList())) {
        assertEquals(expected, text.get());
      }
    }
  }

  @Test
  void aClosedModelWritesNoMore() throws Exception {
    while (!isCutByClosing()) {
      Thread.onSpinWait(); // the model was faster than this thread
    }
  }

  /** Closes a model while it writes; false if it had written everything. */
  private static boolean isCutByClosing() throws Exception {
    Model model = load();
    Predictor<String, GeneratedText> predictor = predictor(model);
    GeneratedText text = predictor.streamingPredict(PROMPT).getIterativeOutput();
    text.next();
    model.close();
    model.close();
    TranslateException closed =
        assertThrows(TranslateException.class, () -> predictor.predict(PROMPT));
    assertInstanceOf(IllegalStateException.class, closed.getCause());
    try {
      while (text.hasNext()) {
        text.next();
      }
      return false;
    } catch (IllegalStateException _) {
      return true;
    }
  }

  @Test
  void refusesByDjlsExceptions(@TempDir Path empty) throws Exception {
    Path nothing = empty.resolve("nothing");
    assertThrows(
        ModelNotFoundException.class,
        () -> PanamoeEngineExample.run(nothing)); // DJL itself looks for the path
    try (Model model = Model.newInstance("writer", "Panamoe")) {
      assertThrows(FileNotFoundException.class, () -> model.load(nothing));
      String said =
          assertThrows(MalformedModelException.class, () -> model.load(empty)).getMessage();
      assertTrue(said.contains("no checkpoint (manifest.json"), said);
      for (var wrong :
          List.of(
              Map.of("precision", "half"),
              Map.of("weights", "int3"),
              Map.of("sequences", "many"),
              Map.of("sequences", "0"),
              Map.of("threads", "-1"),
              Map.of("bfloat16", "true"))) {
        said =
            assertThrows(IllegalArgumentException.class, () -> model.load(folder, null, wrong))
                .getMessage();
        assertTrue(said.contains("expected"), said);
      }
      model.load(folder); // a refusal changes nothing
      assertThrows(IllegalStateException.class, () -> model.load(folder));
      assertThrows(UnsupportedOperationException.class, () -> model.save(empty, "copy"));
      try (var arrays = model.newPredictor(new NoopTranslator())) {
        TranslateException prompt =
            assertThrows(
                TranslateException.class, () -> arrays.predict(TextBlock.list("no request")));
        assertInstanceOf(IllegalArgumentException.class, prompt.getCause());
      }
      try (Predictor<String, GeneratedText> predictor = predictor(model)) {
        TranslateException tooLong =
            assertThrows(TranslateException.class, () -> predictor.predict("x".repeat(10_000)));
        assertInstanceOf(IllegalArgumentException.class, tooLong.getCause());
      }
    }
    try (Model model = Model.newInstance("writer", Device.gpu(1), "Panamoe")) {
      assertThrows(IllegalArgumentException.class, () -> model.load(folder));
    }
    assertFalse(Files.exists(nothing));
  }

  @Test
  void loadsAGgufFile() throws Exception {
    Path file = Path.of("../lab/golden/gguf/mixtral_text_f16.gguf");
    assertFalse(PanamoeEngineExample.run(file).isEmpty());
  }

  @Test
  void plainJavaIsADeviceToo() throws Exception {
    try (Model model = Model.newInstance("writer", Device.of("reference", -1), "Panamoe")) {
      model.load(folder);
      try (Predictor<String, GeneratedText> predictor = predictor(model)) {
        assertEquals(TOKENS, predictor.predict(PROMPT).result().tokens().size());
      }
    }
  }
}
