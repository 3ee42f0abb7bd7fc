package panamoe.harness.serve;

import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.harness.ExpertOptions;
import panamoe.harness.KeyValueType;
import panamoe.harness.Precision;
import panamoe.harness.help.OptionGroup;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options for sequences, cache and steps: {@code @Mixin EngineOptions engineOptions}. */
@OptionGroup("Engine")
final class EngineOptions {
  @Mixin private Precision precision;
  @Mixin ExpertOptions experts;

  @Option(
      names = "--sequences",
      paramLabel = "N",
      defaultValue = "16",
      description = "Most sequences that run at a time. Default: ${DEFAULT-VALUE}.")
  int sequences; // on each data rank

  @Option(
      names = "--cache-mib",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Memory for keys and values, at most room for --sequences of the whole context. Default, and 0: that room, but at most half of the free memory.")
  private long cacheMib;

  @Option(
      names = "--step-tokens",
      paramLabel = "N",
      defaultValue = "512",
      description =
          "Most tokens in a step: more make prefill faster, and the sequences that decode meanwhile slower. Default: ${DEFAULT-VALUE}.")
  private int stepTokens;

  @Option(
      names = "--reserve",
      paramLabel = "PART",
      defaultValue = "0.25",
      description =
          "The part, 0 to 1, of a sequence's remaining tokens that must have room in the cache before it starts; with 1 nothing is preempted. Default: ${DEFAULT-VALUE}.")
  private double reserve;

  @Option(
      names = "--guesses",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Tokens to guess by prompt lookup, where a text repeats itself; changes no bit of it.")
  private int guesses;

  /** The settings that a model's results depend on. */
  Numerics numerics(ModelFolder folder) {
    return new Numerics(
        precision.dtype(),
        precision.weights().quantize(folder),
        precision.weights().activations(),
        precision.keyValues(),
        experts.topK());
  }

  /** The settings for loading a model. */
  InferenceSettings held(ModelFolder folder) {
    return experts.settings(precision.weights().types(folder));
  }

  /**
   * The engine's configuration with a cache of {@code blocks}.
   *
   * @throws IllegalArgumentException if an option is out of range
   */
  EngineConfig config(long blocks) {
    return new EngineConfig(
        Math.toIntExact(blocks),
        EngineConfig.BLOCK,
        sequences,
        stepTokens,
        reserve,
        true,
        guesses,
        precision.keyValues() == KeyValueType.INT8);
  }

  /**
   * The cache that every rank has room for. Collective.
   *
   * @param here number of ranks in this machine's memory
   */
  CacheSize cache(Ranks ranks, Backend backend, ModelConfig model, int here) {
    long context = Math.ceilDiv(model.context(), EngineConfig.BLOCK);
    CacheSize mine =
        CacheSize.of(
            model,
            precision.keyValues().of(precision.dtype().dtype()),
            config(Math.min(Integer.MAX_VALUE, sequences * context)),
            cacheMib,
            backend.memoryAvailable() / here);
    long[] all = ranks.world().allGather(mine.blocks());
    return mine.withBlocks(LongStream.of(all).min().orElseThrow());
  }
}
