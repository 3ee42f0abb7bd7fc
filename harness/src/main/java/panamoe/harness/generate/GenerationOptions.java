package panamoe.harness.generate;

import java.util.List;
import java.util.Map;
import panamoe.engine.EngineConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.harness.AdapterOption;
import panamoe.harness.ExpertOptions;
import panamoe.harness.KeyValueType;
import panamoe.harness.Precision;
import panamoe.harness.SamplingDefaultsOption;
import panamoe.harness.help.OptionGroup;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.SamplingDefaults;
import panamoe.tensor.DType;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of a completion: {@code @Mixin GenerationOptions text}. */
@OptionGroup("Generation")
public final class GenerationOptions {
  @Option(
      names = {"-n", "--max-tokens"},
      paramLabel = "N",
      defaultValue = "200",
      description =
          "Most tokens to generate; a token is a byte unless the run has a tokenizer. Default: ${DEFAULT-VALUE}.")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "0 takes the most probable token, 1 samples the model's distribution. Default: what the"
              + " model's makers say, else 0.8.")
  private Double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Only the K most probable tokens; 0 for all.")
  private Integer topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "Only the fewest tokens whose probabilities reach P.")
  private Double topP;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      description = "Only tokens at least P times as probable as the best one; 0 for all.")
  private Double minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "R",
      description = "More than 1 makes tokens rarer that came before.")
  private Double repetitionPenalty;

  @Option(
      names = "--presence-penalty",
      paramLabel = "A",
      defaultValue = "0",
      description = "Subtracted from the logits of tokens that the completion has already.")
  private double presencePenalty;

  @Option(
      names = "--frequency-penalty",
      paramLabel = "A",
      defaultValue = "0",
      description = "Subtracted from them once for each occurrence.")
  private double frequencyPenalty;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "Stop string: ends the completion before TEXT; may be given several times.")
  private List<String> stop = List.of();

  @Mixin private Precision precision;
  @Mixin private ExpertOptions experts;
  @Mixin private AdapterOption adapter;
  @Mixin private SamplingDefaultsOption makers;

  @Option(
      names = "--guesses",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Tokens to guess by prompt lookup, where a text repeats itself; changes no bit of it.")
  private int guesses;

  /** Tokens to guess by prompt lookup. */
  int guesses() {
    return guesses;
  }

  public int maxTokens() {
    return maxTokens;
  }

  /** Stop strings. */
  public List<String> stop() {
    return stop;
  }

  /** The dtype of activations. */
  public DType dtype() {
    return precision.dtype().dtype();
  }

  /** The settings for loading a model. */
  public InferenceSettings held(ModelFolder folder) {
    return adapter.with(experts.settings(precision.weights().types(folder)), folder);
  }

  /**
   * Checks the experts per token.
   *
   * @throws IllegalArgumentException if they do not fit the model
   */
  public void requireExperts(ModelFolder folder) {
    experts.requireFit(folder);
  }

  /** Completes the options by the publisher's sampling defaults. */
  public void complete(ModelFolder folder) {
    SamplingDefaults defaults = makers.of(folder);
    temperature = or(temperature, defaults.temperature());
    topK = or(topK, defaults.topK());
    topP = or(topP, defaults.topP());
    minP = or(minP, defaults.minP());
    repetitionPenalty = or(repetitionPenalty, defaults.repetitionPenalty());
  }

  private static <T> T or(T given, T otherwise) {
    return given == null ? otherwise : given;
  }

  public double temperature() {
    return or(temperature, 0.8);
  }

  /**
   * The sampling of these options.
   *
   * @throws IllegalArgumentException if an option is out of range
   */
  public SamplingConfig sampling(long seed) {
    return sampling(temperature(), seed);
  }

  /** The sampling at another temperature. */
  public SamplingConfig sampling(double temperature, long seed) {
    return new SamplingConfig(
        temperature,
        or(topK, 0),
        or(topP, 1.0),
        or(minP, 0.0),
        new SamplingConfig.Penalties(or(repetitionPenalty, 1.0), presencePenalty, frequencyPenalty),
        Map.of(),
        seed);
  }

  /**
   * The engine's configuration for one sequence at a time.
   *
   * @throws IllegalArgumentException if an option is out of range
   */
  public EngineConfig engine(int context) {
    return EngineConfig.one(context)
        .withGuesses(guesses)
        .withInt8Cache(precision.keyValues() == KeyValueType.INT8);
  }
}
