package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.testkit.SmallRun;

/** Completions with all options. */
class GenerationTest {
  private static final String PROMPT = "Die Würde des ";
  private static final GenerationOptions OPTIONS = GenerationOptions.of(30);

  @TempDir private static Path folder;
  private static Device device;
  private static MoeModel model;

  @BeforeAll
  static void open() {
    SmallRun.train(folder, 250);
    device = Device.open("cpu", 1);
    model = MoeModel.open(device, folder, ModelOptions.USUAL.withSequences(2));
  }

  @AfterAll
  static void close() {
    device.close();
  }

  @Test
  void theNumberOfSequencesHasABound() {
    String said =
        assertThrows(
                PanamoeException.BadArgument.class, () -> ModelOptions.USUAL.withSequences(1025))
            .getMessage();
    assertEquals("sequences is 1025, expected 1 to 1024", said);
  }

  @Test
  void aContextMayBeShorter() {
    try (MoeModel shorter = MoeModel.open(device, folder, ModelOptions.USUAL.withContext(20))) {
      assertEquals(20, shorter.context());
      GenerationResult result = shorter.generate(PROMPT, OPTIONS);
      assertEquals(FinishReason.CONTEXT, result.finishReason());
      assertTrue(model.generate(PROMPT, OPTIONS).text().startsWith(result.text()));
    }
    assertThrows(
        PanamoeException.BadArgument.class,
        () -> MoeModel.open(device, folder, ModelOptions.USUAL.withContext(1 << 20)));
  }

  @Test
  void aListenerIsToldHowMuchIsLoaded() {
    List<long[]> told = Collections.synchronizedList(new ArrayList<>());
    ModelOptions options =
        ModelOptions.USUAL.withProgress((done, total) -> told.add(new long[] {done, total}));
    MoeModel.open(device, folder, options).close();
    long total = told.getFirst()[1];
    assertTrue(total >= 4 * model.parameterCount(), total + " bytes");
    assertTrue(told.stream().allMatch(each -> each[0] >= 0 && each[0] <= each[1]));
    assertEquals(total, told.stream().mapToLong(each -> each[0]).max().orElseThrow());
  }

  @Test
  void theResultSaysWhatWasWrittenAndWhyItEnded() {
    GenerationResult result = model.generate(PROMPT, OPTIONS);
    assertEquals(FinishReason.LENGTH, result.finishReason());
    assertEquals(30, result.tokens().size());
    assertEquals(model.encode(PROMPT).length, result.usage().prompt());
    assertEquals(
        result.text(), model.decode(result.tokens().stream().mapToInt(id -> id).toArray()));
    assertTrue(result.times().prefill() > 0 && result.times().decode() > 0, result::toString);

    GenerationResult stopped = model.generate(PROMPT, OPTIONS.withStop("ist", "nie"));
    assertEquals(FinishReason.STOP, stopped.finishReason());
    assertEquals("Menschen ", stopped.text());

    GenerationResult nothing = model.generate(PROMPT, GenerationOptions.of(0));
    assertEquals(
        new GenerationResult(
            "",
            ChatMessage.assistant(""),
            List.of(),
            List.of(),
            FinishReason.LENGTH,
            new GenerationResult.Usage(15, 0, 0, 0),
            new GenerationResult.Times(0, 0, 0)),
        nothing);
  }

  @Test
  void samplingDecidesHowTokensAreDrawn() {
    Sampling wild = Sampling.of(5, 1);
    String first = model.generate(PROMPT, OPTIONS.withSampling(wild)).text();
    assertEquals(first, model.generate(PROMPT, OPTIONS.withSampling(wild)).text());
    assertNotEquals(first, model.generate(PROMPT, OPTIONS.withSampling(wild.withSeed(2))).text());
    String greedy = model.generate(PROMPT, OPTIONS).text();
    assertNotEquals(greedy, first);
    for (Sampling narrow : List.of(wild.withTopK(1), wild.withTopP(1e-6), wild.withMinP(1))) {
      assertEquals(greedy, model.generate(PROMPT, OPTIONS.withSampling(narrow)).text());
    }
    Sampling.Penalties penalties = new Sampling.Penalties(1, 100, 0);
    GenerationResult various =
        model.generate(PROMPT, OPTIONS.withSampling(Sampling.GREEDY.withPenalties(penalties)));
    assertEquals(various.tokens().size(), various.tokens().stream().distinct().count());
    assertNotEquals(greedy, various.text());
    assertEquals(Sampling.of(1, 0), model.defaultSampling());
  }

  @Test
  void aSchemaShapesTheText() {
    String schema =
        "{\"type\": \"object\", \"properties\": {\"n\": {\"enum\": [12, 34]}}, "
            + "\"required\": [\"n\"], \"additionalProperties\": false}";
    GenerationResult result = model.generate(PROMPT, OPTIONS.withSchema(schema));
    assertTrue(result.text().matches("\\{\"n\": (12|34)}"), result.text());
    assertEquals(FinishReason.END_OF_TEXT, result.finishReason());
  }

  @Test
  void wrongPromptsAreRefused() {
    assertThrows(PanamoeException.BadArgument.class, () -> model.generate(null, OPTIONS));
    assertThrows(PanamoeException.BadArgument.class, () -> model.generate(PROMPT, null));
    String tooLong = "x".repeat(model.context() + 1);
    assertThrows(PanamoeException.BadArgument.class, () -> model.generate(tooLong, OPTIONS));
  }

  @Test
  void theEndOfTheContextEndsATextThatDoesNotSlide() {
    int room = model.context() - model.encode(PROMPT).length;
    GenerationResult ended = model.generate(PROMPT, GenerationOptions.of(room + 9));
    assertEquals(FinishReason.CONTEXT, ended.finishReason());
    assertEquals(room, ended.tokens().size());
    assertEquals(
        FinishReason.LENGTH, model.generate(PROMPT, GenerationOptions.of(room)).finishReason());
    GenerationResult slid =
        model.generate(PROMPT, GenerationOptions.of(room + 9).withSlide(true).withStop("tx"));
    assertEquals(FinishReason.LENGTH, slid.finishReason());
    assertEquals(room + 9, slid.tokens().size());
    assertEquals(ended.tokens(), slid.tokens().subList(0, room));
  }

  @Test
  void anInterruptedThreadReadsNoSchema() {
    GenerationOptions options = OPTIONS.withSchema("{\"type\": \"boolean\"}");
    Thread.currentThread().interrupt();
    assertThrows(CancellationException.class, () -> model.generate(PROMPT, options));
    assertTrue(Thread.interrupted());
    assertTrue(model.generate(PROMPT, options).text().matches("true|false"));
  }

  @Test
  void theExamplesRun() {
    GenerationResult first = MoeModelExample.run(folder);
    assertEquals(first.text(), MoeModelExample.run(folder).text());
  }
}
