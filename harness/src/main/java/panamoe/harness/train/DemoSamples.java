package panamoe.harness.train;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.engine.GenerationOutcome;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;
import panamoe.harness.help.HelpLines;
import panamoe.harness.report.RoutedText;
import panamoe.harness.report.TokenRoutes;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;

/**
 * Completions that a model of the demo generates.
 *
 * @param tokensPerSecond generated, without scoring
 */
record DemoSamples(List<RoutedText> texts, double tokensPerSecond) {
  private static final int TOKENS = 60;
  private static final int TOKENS_WHILE_TRAINING = 40;
  private static final double TEMPERATURE = 0.6;
  private static final int COLUMNS = 79;

  private record Prompt(String language, String text) {}

  private static final List<Prompt> PROMPTS =
      List.of(
          new Prompt("en", "Mr President,"),
          new Prompt("de", "Herr Präsident,"),
          new Prompt("fr", "Monsieur le Président,"),
          new Prompt("es", "Señor Presidente,"),
          new Prompt("it", "Signor Presidente,"));

  private static final class Draft extends GenerationOutcome {
    private final IntStream.Builder sampled = IntStream.builder();

    @Override
    public void sampled(int token, TokenLogprobs logprobs, int[] experts) {
      sampled.add(token);
    }
  }

  /** Generates a completion of each prompt. */
  static DemoSamples write(ModelFolder folder, Backend backend, long seed) {
    try (LanguageModel model = folder.load(backend, DType.BFLOAT16);
        Engine engine = Engine.forOne(backend, model, folder.tokenizer())) {
      RouteProbe reading = new RouteProbe(backend, model, folder.tokenizer());
      RoutedText[] texts = new RoutedText[PROMPTS.size()];
      long tokens = 0;
      long nanos = 0;
      for (int i = 0; i < texts.length; i++) {
        GenerationRequest request =
            request(PROMPTS.get(i), folder.tokenizer(), model, TOKENS, seed);
        long start = System.nanoTime();
        Draft draft = new Draft();
        String text = engine.run(request, draft).text();
        nanos += System.nanoTime() - start;
        int[] prompt = request.prompt();
        int[] written = draft.sampled.build().toArray();
        tokens += written.length;
        int[] all = IntStream.concat(Arrays.stream(prompt), Arrays.stream(written)).toArray();
        TokenRoutes routes = reading.routes(all, prompt.length);
        texts[i] = new RoutedText(PROMPTS.get(i).language(), PROMPTS.get(i).text(), text, routes);
      }
      return new DemoSamples(List.of(texts), tokens / (nanos / 1e9));
    }
  }

  /** The first prompt and its completion by a model in training, in lines for a terminal. */
  static String whileTraining(
      Backend backend, LanguageModel model, Tokenizer tokenizer, long seed) {
    Prompt prompt = PROMPTS.getFirst();
    try (Engine engine = Engine.forOne(backend, model, tokenizer)) {
      GenerationRequest request = request(prompt, tokenizer, model, TOKENS_WHILE_TRAINING, seed);
      String text = prompt.text() + engine.run(request, new Draft()).text();
      return String.join("\n", HelpLines.broken(text.replaceAll("\\s+", " "), "  ", "  ", COLUMNS));
    }
  }

  private static GenerationRequest request(
      Prompt prompt, Tokenizer tokenizer, LanguageModel model, int tokens, long seed) {
    return GenerationRequest.of(
        GenerationRequest.tokensOf(prompt.text(), tokenizer, model.config().context()),
        SamplingConfig.of(TEMPERATURE, 0, 0.95, seed),
        StopConfig.of(tokens, List.of()));
  }
}
