package panamoe.text;

import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.function.Supplier;
import panamoe.backend.Backend;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.conversation.ChatFormat;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.open.CacheSize;
import panamoe.open.FolderChat;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * What differs between a model from a file and one that trains.
 *
 * @param weights for inference kernels; called before each sequence
 * @param defaultSampling the publisher's sampling
 * @param warnings of the loader
 * @param close frees the model's own memory
 */
record ModelSource(
    Supplier<LanguageModel> weights,
    EngineConfig engine,
    Tokenizer tokenizer,
    Conversations conversations,
    Sampling defaultSampling,
    List<String> warnings,
    Runnable close) {

  static ModelSource opened(ModelFolder folder, Backend backend, ModelOptions options) {
    ModelFolder found = options.context() == 0 ? folder : folder.withContext(options.context());
    found.config().requireGeneration();
    Tokenizer tokenizer = found.tokenizer();
    Sampling defaultSampling = Sampling.of(found.tokenizerFiles().sampling());
    Conversations conversations =
        new Conversations(() -> FolderChat.of(found, options.chatTemplate(), _ -> {}));
    if (options.chatTemplate() != null) {
      conversations.format(); // refuses a file that is not a template, before weights are read
    }
    List<String> warnings = new ArrayList<>();
    WeightTypes types = options.types(found);
    LanguageModel model =
        found.load(
            backend,
            InferenceSettings.of(types).with(options.adapters(found)),
            Ranks.alone(),
            warnings,
            progress(found, options));
    try {
      return new ModelSource(
          () -> model,
          engine(model.config(), types.compute(), backend, options.sequences()),
          tokenizer,
          conversations,
          defaultSampling,
          List.copyOf(warnings),
          model::close);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  private static DoubleConsumer progress(ModelFolder found, ModelOptions options) {
    if (options.progress() == null) {
      return _ -> {};
    }
    long total = found.weights().bytes();
    return part -> options.progress().loaded(Math.round(part * total), total);
  }

  private static EngineConfig engine(
      ModelConfig model, DType cached, Backend backend, int sequences) {
    EngineConfig most = EngineConfig.of(sequences, model.context());
    CacheSize cache =
        CacheSize.of(
            model,
            cached,
            most,
            0,
            backend.memoryAvailable(),
            "take a shorter context, by ModelOptions.withContext");
    return most.withBlocks(Math.toIntExact(cache.blocks()));
  }

  /**
   * For a model that trains, which frees its weights itself.
   *
   * @throws IllegalArgumentException if it cannot generate with these tokens
   */
  static ModelSource trained(Supplier<LanguageModel> weights, Tokenizer tokenizer) {
    LanguageModel model = weights.get();
    requireWrites(model, tokenizer);
    // Cached prefixes were computed with earlier weights.
    EngineConfig engine = EngineConfig.one(model.config().context()).withoutSharing();
    Conversations lines = new Conversations(() -> ChatFormat.lines(tokenizer));
    return new ModelSource(
        weights, engine, tokenizer, lines, Sampling.of(1, 0), List.of(), () -> {});
  }

  private static void requireWrites(LanguageModel model, Tokenizer tokenizer) {
    ModelConfig config = model.config();
    Require.that(
        tokenizer.fits(config.vocabulary()),
        "the tokenizer has %s tokens but the model has a vocabulary of %s",
        tokenizer.vocabularySize(),
        config.vocabulary());
    if (!config.withGates(GateConfig::withoutDropping).equals(config)) {
      throw new IllegalArgumentException(
          "the model drops tokens beyond its experts' capacity, so that a sequence would depend on its"
              + " neighbours: save the model and open it, which leaves that out");
    }
    Require.that(
        model.parameters().ranks().world().size() <= 1,
        "several ranks hold the model: save it, and open it on one");
  }
}
