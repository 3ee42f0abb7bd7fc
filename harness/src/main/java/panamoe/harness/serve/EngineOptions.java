package panamoe.harness.serve;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.harness.ExpertOptions;
import panamoe.harness.KeyValueType;
import panamoe.harness.Precision;
import panamoe.harness.help.OptionGroup;
import panamoe.harness.serve.model.Numerics;
import panamoe.io.Require;
import panamoe.open.CacheSize;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.parallel.Ranks;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

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

  @Option(
      names = "--lora",
      paramLabel = "NAME=PATH",
      converter = AdapterSource.class,
      description =
          "An adapter, which requests choose by NAME as their model: a run of train --lora, a folder of PEFT, or a GGUF file of llama.cpp. May be given for 8 adapters (docs/adapters.md).")
  private List<NamedAdapters.Source> adapters = List.of();

  private NamedAdapters read; // null until they are

  /** Parses an adapter's name and path. */
  static final class AdapterSource implements ITypeConverter<NamedAdapters.Source> {
    @Override
    public NamedAdapters.Source convert(String text) {
      int equals = text.indexOf('=');
      if (equals < 1 || equals == text.length() - 1) {
        throw new TypeConversionException("'" + text + "' is not NAME=PATH");
      }
      return new NamedAdapters.Source(
          text.substring(0, equals), Path.of(text.substring(equals + 1)));
    }
  }

  /**
   * Reads the adapters, once.
   *
   * @param model its name
   * @throws IllegalArgumentException if one has that name, or as {@link NamedAdapters#read}
   */
  NamedAdapters adapters(ModelFolder folder, String model) {
    if (read == null) {
      read = NamedAdapters.read(folder, adapters);
      Require.that(
          !read.names().contains(model), "an adapter has the model's name %s: rename it", model);
    }
    return read;
  }

  /** The settings that a model's results depend on. */
  Numerics numerics(ModelFolder folder) {
    return new Numerics(
        precision.dtype(),
        precision.weights().quantize(folder),
        precision.weights().activations(),
        precision.keyValues(),
        experts.topK(),
        adapters);
  }

  /** The settings for loading a model of this name. */
  InferenceSettings held(ModelFolder folder, String model) {
    return experts.settings(precision.weights().types(folder)).with(adapters(folder, model));
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
            backend.memoryAvailable() / here,
            "say --cache-mib for shorter ones");
    long[] all = ranks.world().allGather(mine.blocks());
    return mine.withBlocks(LongStream.of(all).min().orElseThrow());
  }
}
