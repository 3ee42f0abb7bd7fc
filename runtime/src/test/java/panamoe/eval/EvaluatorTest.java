package panamoe.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.abi.NativeBackend;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.model.LanguageModel;
import panamoe.op.RouteObserver;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/**
 * {@link TextEvaluator} and {@link TaskEvaluator}: scores of a model loaded for inference, compared
 * with its trainer's.
 */
class EvaluatorTest {
  @TempDir private static Path folder;
  private static final ByteTokenizer TOKENIZER = new ByteTokenizer();
  private static double ofTrainer;
  private static Backend backend;
  private static LanguageModel model;

  @BeforeAll
  static void load() {
    ofTrainer = MemorizedLines.save(folder);
    backend = NativeBackend.open("cpu", 2);
    model = ModelFolder.open(folder).load(backend, DType.FLOAT32, new ArrayList<>());
  }

  @AfterAll
  static void close() {
    model.close();
    backend.close();
  }

  @Test
  void aTextScoresAsInTraining() {
    TokenWindows windows =
        new TokenWindows(
            MemorizedLines.CORPUS.tokens(Corpus.Part.VALIDATION, TOKENIZER),
            TOKENIZER,
            MemorizedLines.LENGTH);
    TextScore score = new TextEvaluator(backend, model).measure(windows);
    assertEquals(ofTrainer, score.bitsPerByte(), 1e-12);
    assertEquals(score, new TextEvaluator(backend, model).measure(windows));
    long tokens = MemorizedLines.CORPUS.tokens(Corpus.Part.VALIDATION, TOKENIZER).size();
    assertEquals(tokens - 1, score.tokens());
    assertTrue(score.bitsPerByte() < 1, score.toString());
    assertEquals(Math.exp(score.nats() / score.tokens()), score.perplexity(), 1e-12);
  }

  @Test
  void tasksAreAnsweredByWhatWasLearnt() {
    Map<Task.Kind, TaskScore> scores = evaluator().measure(MemorizedLines.tasks());
    assertEquals(new Accuracy(1, 2), scores.get(Task.Kind.LAST_WORD).plain());
    assertEquals(new Accuracy(1, 2), scores.get(Task.Kind.CHOICE).plain());
    assertEquals(new Accuracy(1, 2), scores.get(Task.Kind.CHOICE).perByte());
    assertEquals(scores, evaluator().measure(MemorizedLines.tasks()));
  }

  @Test
  void choicesThatAreEquallyLikelyAreWrong() {
    Task task = new Task.Choice("The old cat", List.of(" sat on", " ran to"), 0);
    try (LanguageModel even =
        ModelFolder.open(folder).load(backend, DType.FLOAT32, new ArrayList<>())) {
      even.head().weight().data().fill((byte) 0); // all tokens are equally likely
      TaskScore score =
          new TaskEvaluator(backend, even, TOKENIZER).measure(List.of(task)).get(Task.Kind.CHOICE);
      assertEquals(new Accuracy(0, 1), score.plain());
      assertEquals(new Accuracy(0, 1), score.perByte());
    }
  }

  @Test
  void aModelWithoutFiniteLikelihoodsIsRefused() {
    try (LanguageModel broken =
        ModelFolder.open(folder).load(backend, DType.FLOAT32, new ArrayList<>())) {
      Parameter norm =
          broken.parameters().parameters().stream()
              .filter(parameter -> parameter.name().equals("final_norm.weight"))
              .findFirst()
              .orElseThrow();
      norm.value().data().fill((byte) 0xff); // not a number
      TaskEvaluator evaluator = new TaskEvaluator(backend, broken, TOKENIZER);
      for (Task task : MemorizedLines.tasks()) {
        String message =
            assertThrows(IllegalArgumentException.class, () -> evaluator.measure(List.of(task)))
                .getMessage();
        assertTrue(
            message.startsWith("task 1: the model gives numbers that are not finite; its weights"),
            message);
      }
    }
  }

  @Test
  void aWrittenAnswerIsTheLineThatTheModelWrites() {
    Task right = new Task.Answer("The old cat sat on the", List.of("rug", "A mat"));
    Task half = new Task.Answer("The old cat sat on", List.of("a red mat"));
    TaskScore score = evaluator().measure(List.of(right, half)).get(Task.Kind.ANSWER);
    assertEquals(new Accuracy(1, 2), score.plain());
    // "the mat." has one word of "red mat": precision 1, recall 1/2
    assertEquals((1 + 2.0 / 3) / 2, score.f1().value(), 1e-12);
    assertEquals(1.0 / 6, score.f1().error(), 1e-12);
    double first = nats("The old cat sat on the") - nats("The old cat sat on the rug");
    Task.Answer alone = new Task.Answer("The old cat sat on the", List.of("rug"));
    assertEquals(first, likelihood(alone), 1e-4);
  }

  /** The likelihood after an example shows that the model reads the example. */
  @Test
  void examplesAreBeforeTheTask() {
    Task.Choice task = new Task.Choice("The old cat", List.of(" sat on", " ran"), 0);
    Task.Choice example = new Task.Choice("I", List.of(" s", " r"), 1);
    TaskScore score =
        evaluator().measure(List.of(task), new Shots(List.of(example), 1, 7)).get(task.kind());
    double expected = nats("I r\n\nThe old cat") - nats("I r\n\nThe old cat sat on");
    assertEquals(expected, score.logLikelihood().value(), 1e-4);
    Task.LastWord other = new Task.LastWord("two words");
    String refused =
        assertThrows(
                IllegalArgumentException.class,
                () -> evaluator().measure(List.of(other), new Shots(List.of(example), 1, 7)))
            .getMessage();
    assertEquals("task 1: an example is of kind CHOICE, the task of kind LAST_WORD", refused);
  }

  @Test
  void aLastWordIsRightWhereGreedyDecodingWritesIt() {
    try (Engine engine = Engine.forOne(backend, model, TOKENIZER)) {
      GenerationRequest request =
          GenerationRequest.of(
              TOKENIZER.encode("The old cat sat on the"),
              SamplingConfig.GREEDY,
              StopConfig.of(5, List.of()));
      assertEquals(" mat.", engine.run(request, _ -> {}).text());
    }
    Task.LastWord asked = new Task.LastWord("The old cat sat on the mat.\n");
    TaskScore score = evaluator().measure(List.of(asked)).get(Task.Kind.LAST_WORD);
    assertEquals(new Accuracy(1, 1), score.plain());
  }

  /** The likelihood of an answer is the difference of two scores. */
  @Test
  void anAnswerHasTheLikelihoodOfItsTokens() {
    Task.Choice task = new Task.Choice("The old cat", List.of(" sat on", " ran"), 0);
    TaskScore score = evaluator().measure(List.of(task)).get(Task.Kind.CHOICE);
    double expected = nats("The old cat") - nats("The old cat sat on");
    assertEquals(expected, score.logLikelihood().value(), 1e-4);
    Task.Choice first = new Task.Choice("", List.of("The", "A"), 0);
    double begun =
        evaluator().measure(List.of(first)).get(Task.Kind.CHOICE).logLikelihood().value();
    assertTrue(begun < 0 && begun > -3, "after an end of text: " + begun);
  }

  @Test
  void ofALongContextTheEndIsAsked() {
    int context = model.config().context();
    String end = "The old cat sat on the";
    String longer = "x".repeat(context - 4 - end.length()) + end;
    Task.LastWord fits = new Task.LastWord(longer.substring(1) + " mat.");
    Task.LastWord cut = new Task.LastWord("y".repeat(50) + longer + " mat.");
    double expected = likelihood(new Task.LastWord(longer + " mat."));
    assertEquals(expected, likelihood(cut));
    assertTrue(Double.isFinite(likelihood(fits)));
    Task.LastWord refused = new Task.LastWord("The " + "m".repeat(context));
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> evaluator().measure(List.of(cut, refused)))
            .getMessage();
    assertEquals(
        "task 2: the answer has "
            + (context + 1)
            + " tokens, more than the model's context of "
            + context,
        message);
  }

  private static double likelihood(Task task) {
    return evaluator().measure(List.of(task)).get(task.kind()).logLikelihood().value();
  }

  private static TaskEvaluator evaluator() {
    return new TaskEvaluator(backend, model, TOKENIZER);
  }

  private static double nats(String text) {
    int length = text.length();
    TokenWindows window =
        new TokenWindows(Corpus.of(List.of(text)).tokens(TOKENIZER), TOKENIZER, length - 1);
    return new TextEvaluator(backend, model)
        .batch(window::fill, 0, 1, length - 1, RouteObserver.NONE)
        .nats();
  }
}
