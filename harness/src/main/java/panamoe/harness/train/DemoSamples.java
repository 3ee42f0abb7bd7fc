package panamoe.harness.train;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.engine.GenerationOutcome;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;
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
  private static final double TEMPERATURE = 0.6;

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
        int[] prompt =
            GenerationRequest.tokensOf(
                PROMPTS.get(i).text(), folder.tokenizer(), folder.config().context());
        SamplingConfig sampling = SamplingConfig.of(TEMPERATURE, 0, 0.95, seed);
        GenerationRequest request =
            GenerationRequest.of(prompt, sampling, StopConfig.of(TOKENS, List.of()));
        long start = System.nanoTime();
        Draft draft = new Draft();
        String text = engine.run(request, draft).text();
        nanos += System.nanoTime() - start;
        int[] written = draft.sampled.build().toArray();
        tokens += written.length;
        int[] all = IntStream.concat(Arrays.stream(prompt), Arrays.stream(written)).toArray();
        TokenRoutes routes = reading.routes(all, prompt.length);
        texts[i] = new RoutedText(PROMPTS.get(i).language(), PROMPTS.get(i).text(), text, routes);
      }
      return new DemoSamples(List.of(texts), tokens / (nanos / 1e9));
    }
  }
}
