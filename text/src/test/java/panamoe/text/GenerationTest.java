package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.testkit.SmallRun;

/** Sessions with all options, and completions generated token by token. */
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
  void moreTextsThanACacheCanHoldAreOneSentence() {
    PanamoeException refused =
        assertThrows(
            PanamoeException.class,
            () ->
                MoeModel.open(device, folder, ModelOptions.USUAL.withSequences(Integer.MAX_VALUE)));
    assertTrue(refused.getMessage().contains("sequences of"), refused.getMessage());
  }

  @Test
  void aCacheThatDoesNotFitNamesTheOption() {
    OutOfMemoryError refused =
        assertThrows(
            OutOfMemoryError.class,
            () -> MoeModel.open(device, folder, ModelOptions.USUAL.withSequences(1_000_000)));
    assertTrue(refused.getMessage().contains("ModelOptions.withSequences"), refused.getMessage());
  }

  @Test
  void theResultSaysWhatWasWrittenAndWhyItEnded() {
    GenerationResult result = model.generate(PROMPT, OPTIONS);
    assertEquals(FinishReason.LENGTH, result.finishReason());
    assertEquals(30, result.tokens().size());
    assertEquals(model.encode(PROMPT).length, result.promptTokens());
    assertEquals(
        result.text(), model.decode(result.tokens().stream().mapToInt(id -> id).toArray()));
    assertTrue(result.prefillSeconds() > 0 && result.decodeSeconds() > 0, result::toString);

    GenerationResult stopped = model.generate(PROMPT, OPTIONS.withStop("ist", "nie"));
    assertEquals(FinishReason.STOP, stopped.finishReason());
    assertEquals("Menschen ", stopped.text());

    GenerationResult nothing = model.generate(PROMPT, GenerationOptions.of(0));
    assertEquals(new GenerationResult("", List.of(), FinishReason.LENGTH, 15, 0, 0), nothing);
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
    assertThrows(PanamoeException.BadArgument.class, () -> model.begin(new int[0], OPTIONS));
    assertThrows(PanamoeException.BadArgument.class, () -> model.begin(new int[] {-1}, OPTIONS));
  }

  private static String drain(TextSession session) {
    StringBuilder text = new StringBuilder();
    for (Optional<Token> next = session.next(); next.isPresent(); next = session.next()) {
      text.append(next.get().text());
    }
    return text.toString();
  }

  @Test
  void aSessionGivesTheTextTokenByToken() {
    GenerationResult whole = model.generate(PROMPT, OPTIONS);
    try (TextSession session = model.begin(PROMPT, OPTIONS)) {
      assertThrows(IllegalStateException.class, session::result);
      List<Integer> ids = new ArrayList<>();
      StringBuilder text = new StringBuilder();
      for (Optional<Token> next = session.next(); next.isPresent(); next = session.next()) {
        ids.add(next.get().id());
        text.append(next.get().text());
      }
      assertEquals(whole.tokens(), ids);
      assertEquals(whole.text(), text.toString());
      assertEquals(whole.text(), session.result().text());
      assertEquals(Optional.empty(), session.next());
    }
    try (TextSession session = model.begin(model.encode(PROMPT), OPTIONS.withStop("tx"))) {
      String text = drain(session); // a t is held back until the next character
      assertEquals(session.result().text(), text);
    }
  }

  /** A completion does not depend on other sequences, and waits if there is no room for it. */
  @Test
  void severalTextsAdvanceTogether() {
    String alone = model.generate(PROMPT, OPTIONS).text();
    String other = model.generate("Menschen ", OPTIONS).text();
    try (TextSession one = model.begin(PROMPT, OPTIONS);
        TextSession two = model.begin("Menschen ", OPTIONS)) {
      one.next();
      two.next();
      one.cancel();
      String begun = drain(one);
      assertEquals(FinishReason.CANCELLED, one.result().finishReason());
      assertTrue(begun.isEmpty() || alone.substring(1).startsWith(begun), begun);
      try (TextSession three = model.begin(PROMPT, OPTIONS)) {
        assertEquals(alone, drain(three));
      }
      assertTrue(other.endsWith(drain(two)));
    }
    try (TextSession one = model.begin("Menschen ", OPTIONS);
        TextSession two = model.begin("Menschen ", OPTIONS)) {
      assertEquals(alone, model.generate(PROMPT, OPTIONS).text());
      assertEquals(other, drain(one));
      assertEquals(other, drain(two));
    }
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
  void anAbandonedSessionLeavesRoom() {
    for (int n = 0; n < 5; n++) {
      TextSession session = model.begin(PROMPT, OPTIONS);
      session.next();
      session.close();
      session.close();
      assertThrows(IllegalStateException.class, session::next);
    }
    assertFalse(model.generate(PROMPT, OPTIONS).text().isEmpty());
  }

  @Test
  void anotherThreadCancels() throws InterruptedException {
    try (TextSession session = model.begin(PROMPT, GenerationOptions.of(1_000_000))) {
      session.next();
      Thread.ofVirtual().start(session::cancel).join();
      drain(session);
      assertEquals(FinishReason.CANCELLED, session.result().finishReason());
    }
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
    assertEquals(
        model.generate("Die Würde", OPTIONS).text().substring(0, 18),
        MoeModelExample.pull(model).substring(0, 18));
    GenerationResult first = MoeModelExample.run(folder);
    assertEquals(first.text(), MoeModelExample.run(folder).text());
  }
}
