package panamoe.harness.generate;

import java.util.List;
import java.util.Map;
import panamoe.engine.EngineConfig;
import panamoe.engine.SamplingConfig;
import panamoe.harness.KeyValueType;
import panamoe.harness.Precision;
import panamoe.tensor.DType;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of a text that is written: {@code @Mixin TextOptions text}. */
public final class TextOptions {
  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "200",
      description =
          "Most tokens to write; a token is a byte unless the run has a tokenizer. Default: ${DEFAULT-VALUE}.")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.8",
      description =
          "0 takes the most probable token, 1 samples the model's distribution. Default: ${DEFAULT-VALUE}.")
  private double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      defaultValue = "0",
      description = "Only the K most probable tokens; 0 for all.")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description = "Only the fewest tokens whose probabilities reach P.")
  private double topP;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      defaultValue = "0",
      description = "Only tokens at least P times as probable as the best one; 0 for all.")
  private double minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "R",
      defaultValue = "1",
      description = "More than 1 makes tokens rarer that came before.")
  private double repetitionPenalty;

  @Option(
      names = "--presence-penalty",
      paramLabel = "A",
      defaultValue = "0",
      description = "Taken off the logits of tokens that the text has already.")
  private double presencePenalty;

  @Option(
      names = "--frequency-penalty",
      paramLabel = "A",
      defaultValue = "0",
      description = "The same for each time that the text has them.")
  private double frequencyPenalty;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "Ends the text before TEXT; may be given several times.")
  private List<String> stop = List.of();

  @Mixin private Precision precision;

  @Option(
      names = "--guesses",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Tokens to guess and compute at once where the text repeats itself; changes no bit of it.")
  private int guesses;

  public int maxTokens() {
    return maxTokens;
  }

  /** Texts that end the text. */
  public List<String> stop() {
    return stop;
  }

  public DType dtype() {
    return precision.dtype().dtype();
  }

  public double temperature() {
    return temperature;
  }

  /**
   * How tokens are drawn.
   *
   * @throws IllegalArgumentException if an option is out of range
   */
  public SamplingConfig sampling(long seed) {
    return sampling(temperature, seed);
  }

  /** As above, at another temperature. */
  public SamplingConfig sampling(double temperature, long seed) {
    return new SamplingConfig(
        temperature,
        topK,
        topP,
        minP,
        new SamplingConfig.Penalties(repetitionPenalty, presencePenalty, frequencyPenalty),
        Map.of(),
        seed);
  }

  /**
   * For one text at a time.
   *
   * @throws IllegalArgumentException if an option is out of range
   */
  public EngineConfig engine(int context) {
    return EngineConfig.one(context)
        .withGuesses(guesses)
        .withInt8Cache(precision.keyValues() == KeyValueType.INT8);
  }
}
