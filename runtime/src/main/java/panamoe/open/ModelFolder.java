package panamoe.open;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.config.AdapterConfig;
import panamoe.config.EmbeddingConfig.Positions;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.family.ExportedModel;
import panamoe.model.family.ReleasedModel;
import panamoe.open.hub.Hub;
import panamoe.open.hub.ModelName;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * A trained model on disk: a run's folder (its latest checkpoint), a folder of checkpoints, one
 * checkpoint, or a released model: a Hugging Face folder, or the first GGUF file.
 *
 * @param path as it was given
 * @param weights of the model
 * @param config of the model as trained
 * @param tokenizerFiles tokenizer, chat template and sampling defaults
 * @param tokenizer null for a model without one: a released model, or one trained on other tokens
 *     than bytes
 * @param dropping whether its experts have their trained capacity in inference
 */
public record ModelFolder(
    Path path,
    StoredWeights weights,
    ModelConfig config,
    TokenizerFiles tokenizerFiles,
    Tokenizer tokenizer,
    boolean dropping) {
  /** The folder of checkpoints in a run's folder. */
  public static final String CHECKPOINTS = "checkpoints";

  /** The keys of a run's adapters in its config, and of the model that they adapt. */
  public static final String ADAPTERS = "adapters";

  public static final String BASE = "base";

  private static final String GGUF = ".gguf";
  private static final String RELEASED = "released model";
  private static final String QUANTIZED = "quantized model";
  private static final String OF_RELEASED = ", which panamoe train --from makes of one";

  /**
   * Opens a folder and reads its configuration, but no weights. In place of a path there may be a
   * {@link ModelName}, whose files are fetched unless they are in the cache.
   *
   * @throws CheckpointException if there is no intact checkpoint, or it does not match its
   *     configuration
   * @throws panamoe.io.DataException if the run's tokenizer cannot be used
   */
  public static ModelFolder open(Path path) {
    return read(path, folder -> folder);
  }

  /**
   * Opens a run or one of its checkpoints. A name is refused without the network, because it is
   * always that of a released model.
   *
   * @throws CheckpointException like {@link #open} and {@link #checkpoint}
   */
  public static ModelFolder ofRun(Path path) {
    if (ModelName.in(path.toString()).isPresent()) {
      throw notOfRun(path, RELEASED, OF_RELEASED);
    }
    ModelFolder folder = open(path);
    folder.checkpoint();
    return folder;
  }

  /**
   * Opens a folder and passes it to {@code reader}. If a training run deletes the checkpoint
   * meanwhile, calls {@code reader} again with the latest one.
   *
   * @throws CheckpointException like {@link #open}; exceptions of {@code reader} pass through
   */
  public static <T> T read(Path given, Function<ModelFolder, T> reader) {
    Path path = Hub.local(given);
    HuggingFaceFolder.refusePickle(path);
    Path checkpoints = path.resolve(CHECKPOINTS);
    if (Files.notExists(checkpoints)) {
      Optional<HuggingFaceFolder> released = HuggingFaceFolder.of(path);
      if (released.isPresent()) {
        return reader.apply(of(ReleasedModel.of(released.get())));
      }
    }
    if (isGguf(path)) {
      return reader.apply(ofGguf(path));
    }
    // If it is unknown whether the path exists, open it: the failed read gives the reason.
    Path place = Files.isDirectory(path) && !Files.notExists(checkpoints) ? checkpoints : path;
    return Checkpoint.read(place, checkpoint -> reader.apply(of(path, checkpoint)));
  }

  /** Whether a path names a GGUF file. */
  public static boolean isGguf(Path path) {
    return path.toString().endsWith(GGUF) && !Files.isDirectory(path);
  }

  private static ModelFolder of(Path path, Checkpoint checkpoint) {
    ModelConfig config = model(checkpoint);
    if (!checkpoint.experts().equals(config.experts())) {
      throw new CheckpointException(
          "%s holds experts %s by its manifest, but its config asks for %s",
          checkpoint.directory(), checkpoint.experts(), config.experts());
    }
    return of(
        path,
        weights(checkpoint),
        config,
        TokenizerFiles.ofCheckpoint(path, checkpoint.directory()));
  }

  private static StoredWeights weights(Checkpoint checkpoint) {
    if (checkpoint.config().has(ADAPTERS)) {
      AdapterConfig adapters = checkpoint.config(ADAPTERS, AdapterConfig.class);
      ModelFolder base = checkpoint.config(BASE, AdaptedBase.class).open();
      return new StoredWeights.Adapted(base.weights, adapters, checkpoint);
    }
    boolean quantized = checkpoint.config().has(Checkpoint.QUANTIZATION);
    return new StoredWeights.Saved(checkpoint, quantized);
  }

  private static ModelFolder ofGguf(Path path) {
    try (GgufFile file = GgufFile.open(path)) {
      return of(ReleasedModel.of(file));
    }
  }

  private static ModelFolder of(ReleasedModel model) {
    return of(
        model.path(),
        new StoredWeights.Released(model),
        model.config(),
        new TokenizerFiles(model.path(), true));
  }

  private static ModelFolder of(
      Path path, StoredWeights weights, ModelConfig config, TokenizerFiles files) {
    Tokenizer tokenizer = files.tokenizer().orElse(null);
    if (tokenizer instanceof ByteTokenizer && !tokenizer.fits(config.vocabulary())) {
      tokenizer = null; // a framework trained it on tokens of its own
    }
    if (tokenizer != null && !tokenizer.fits(config.vocabulary())) {
      throw new CheckpointException(
          "the tokenizer has %s tokens but the model of %s has a vocabulary of %s: it is another"
              + " model's",
          tokenizer.vocabularySize(), path, config.vocabulary());
    }
    return new ModelFolder(path, weights, config, files, tokenizer, false);
  }

  /**
   * This model with experts that drop rows beyond their capacity, counted over the rows of a step,
   * where an encoded sequence is a step of its own. For comparison with transformers' Switch.
   *
   * @throws CheckpointException without an encoder: a token's result would depend on other
   *     sequences
   */
  public ModelFolder withDropping() {
    if (config.encoder() == null) {
      throw new CheckpointException(
          path + " has no encoder: only Switch models can be asked to drop tokens");
    }
    return new ModelFolder(path, weights, config, tokenizerFiles, tokenizer, true);
  }

  /**
   * This model for sequences of at most {@code tokens}. LongRoPE has other divisors for contexts no
   * longer than in training.
   *
   * @throws IllegalArgumentException if it is not 1 to the model's context, or the model has a
   *     learned vector for each position
   */
  public ModelFolder withContext(int tokens) {
    Require.size("context", tokens, config.context());
    Require.that(
        tokens == config.context() || config.embedding().positions() == Positions.NONE,
        "the context is %s tokens, but this model has a learned vector for each of %s positions",
        tokens,
        config.context());
    return new ModelFolder(
        path, weights, config.withContext(tokens), tokenizerFiles, tokenizer, dropping);
  }

  /**
   * The checkpoint of a run.
   *
   * @throws CheckpointException if it is a released or a quantized model
   */
  public Checkpoint checkpoint() {
    if (weights instanceof StoredWeights.Saved(Checkpoint checkpoint, _) && !quantized()) {
      return checkpoint;
    }
    boolean further = weights instanceof StoredWeights.Released && config.encoder() == null;
    throw notOfRun(
        path,
        adapters() != null ? "released model with adapters" : quantized() ? QUANTIZED : RELEASED,
        further ? OF_RELEASED : "");
  }

  /** The adapters of the model; null: none. */
  public AdapterConfig adapters() {
    return weights instanceof StoredWeights.Adapted adapted ? adapted.adapters() : null;
  }

  private static CheckpointException notOfRun(Path path, String kind, String remedy) {
    return new CheckpointException(
        "%s is a %s, and this needs a checkpoint of a run%s", path, kind, remedy);
  }

  /**
   * This model in the keys and tensors of a family.
   *
   * @param rows of every weight
   * @throws CheckpointException if no family has such a model
   */
  public ExportedModel exported(Map<String, RowSource> rows) {
    StoredWeights own = weights instanceof StoredWeights.Adapted adapted ? adapted.base() : weights;
    ReleasedModel released =
        own instanceof StoredWeights.Released(ReleasedModel found) ? found : null;
    return ExportedModel.of(
        path.toString(),
        config,
        rows,
        released == null ? Optional.empty() : released.publishedConfig(),
        released == null ? null : released.type());
  }

  /**
   * Reads an adapter of this model. Of a run, the model that it was trained over is not opened.
   *
   * @param path a folder of PEFT, a GGUF file of llama.cpp, or a run of {@code train --lora}
   * @return by the names of weights in a checkpoint; weights without an adapter are left out
   * @throws CheckpointException if it is damaged or of another model, or no family has this model
   */
  public Map<String, LowRank> adapter(Path path) {
    if (Files.notExists(path.resolve(CHECKPOINTS))) {
      return exported(Map.of()).adapters().read(path);
    }
    Map<String, LowRank> factors =
        Checkpoint.read(
            path.resolve(CHECKPOINTS),
            checkpoint -> {
              if (!checkpoint.config().has(ADAPTERS)) {
                throw new CheckpointException(
                    "%s is a run of a whole model, not of its adapters", path);
              }
              return StoredWeights.Adapted.factors(checkpoint);
            });
    Map<String, long[]> shapes = ModelTensors.shapes(config);
    factors.forEach(
        (name, factor) -> {
          long[] found = {factor.rows(), factor.columns()};
          if (!Arrays.equals(found, shapes.get(name))) {
            throw new CheckpointException(
                "%s has an adapter of %s %s, but %s has %s",
                path,
                name,
                Arrays.toString(found),
                this.path,
                shapes.containsKey(name) ? Arrays.toString(shapes.get(name)) : "no such matrix");
          }
        });
    return factors;
  }

  /**
   * A sentence for the user if an adapter was trained over other weights of these shapes, such as
   * those that this model was quantized from.
   *
   * @param path as in {@link #adapter}; only a run says what it was trained over
   */
  public Optional<String> noteOnAdapter(Path path) {
    if (Files.notExists(path.resolve(CHECKPOINTS))) {
      return Optional.empty();
    }
    AdaptedBase base =
        Checkpoint.read(path.resolve(CHECKPOINTS), it -> it.config(BASE, AdaptedBase.class));
    return base.sha256().equals(weights.sha256())
        ? Optional.empty()
        : Optional.of(
            Words.of(
                "the adapter %s was trained over %s, whose weights are not those of %s: it is as"
                    + " good there only if one was made of the other",
                path, base.path(), this.path));
  }

  /** Whether {@code panamoe quantize} wrote it. */
  public boolean quantized() {
    return weights instanceof StoredWeights.Saved(_, boolean quantized) && quantized;
  }

  /**
   * The tokenizer.
   *
   * @throws CheckpointException if the folder has no tokenizer
   */
  @Override
  public Tokenizer tokenizer() {
    if (tokenizer == null) {
      throw new CheckpointException(
          "%s has no %s, without which it can neither read nor write text",
          path, isGguf(path) ? "tokenizer that can be read" : TokenizerFiles.TOKENIZER);
    }
    return tokenizer;
  }

  private static ModelConfig model(Checkpoint checkpoint) {
    try {
      return ConfigJson.read(
          checkpoint.config().path("model"),
          ModelConfig.class,
          checkpoint.directory() + "/config.json, model");
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(e.getMessage(), e);
    }
  }

  /**
   * The stored block dtypes of matrices, where kernels multiply by these.
   *
   * @param compute dtype of everything else
   * @throws CheckpointException if a file is missing or damaged
   */
  public WeightTypes typesAsStored(DType compute) {
    return ModelTensors.asStored(config, compute, weights.blocks(config));
  }

  /**
   * Loads the weights for inference, directly from the files into the form that kernels read:
   * operands packed and tables in {@code dtype}, vectors in FLOAT32. The model drops no tokens,
   * unless asked to, because a token's result must not depend on its neighbours. If a training run
   * has deleted the checkpoint, loads the latest one.
   *
   * @param warnings receives the loader's warnings
   * @throws CheckpointException if the weights are damaged, do not match the configuration, or do
   *     not fit into memory
   */
  public LanguageModel load(Backend backend, DType dtype, List<String> warnings) {
    return load(backend, InferenceSettings.of(WeightTypes.of(dtype)), warnings);
  }

  /**
   * Loads the weights for inference and refuses damaged ones, for results that depend on them.
   *
   * @throws CheckpointException also if a weight is NaN or infinite
   */
  public LanguageModel load(Backend backend, DType dtype) {
    return load(backend, dtype, null);
  }

  /**
   * Loads the weights for inference on one rank.
   *
   * @param settings how it is held
   * @param warnings receives the loader's warnings; null to refuse NaN and infinite weights
   */
  public LanguageModel load(Backend backend, InferenceSettings settings, List<String> warnings) {
    return load(backend, settings, Ranks.alone(), warnings, _ -> {});
  }

  /** Loads it for passes that keep no keys and values. */
  public LanguageModel load(
      Backend backend,
      InferenceSettings settings,
      Ranks ranks,
      List<String> warnings,
      DoubleConsumer progress) {
    InferenceMemory.Cached none = new InferenceMemory.Cached(settings.types().compute(), 0);
    return load(backend, settings, ranks, none, warnings, progress);
  }

  /**
   * Loads this rank's part of a model that all {@code ranks} hold together, and reads no other
   * weights. All ranks call this at the same time.
   *
   * @param settings of inference; for quantized experts, those stored in the wanted blocks are
   *     kept, others are rounded as they are read
   * @param cached what each rank needs memory for, beside its weights
   * @param warnings receives the loader's warnings; null to refuse NaN and infinite weights
   * @param progress receives the loaded part, 0 to 1, on any thread
   * @throws CheckpointException also if the ranks of a machine together lack memory
   * @throws IllegalArgumentException if the model does not divide among the tensor ranks, or does
   *     not have the wanted experts per token
   */
  public LanguageModel load(
      Backend backend,
      InferenceSettings settings,
      Ranks ranks,
      InferenceMemory.Cached cached,
      List<String> warnings,
      DoubleConsumer progress) {
    if (ranks.world().size() > 1 && backend.onHost()) {
      InferenceMemory.requireShares(this, settings, cached, ranks, backend.memoryAvailable());
    }
    try {
      return FolderLoad.of(this, backend, settings, ranks, warnings, progress);
    } catch (CheckpointException e) {
      if (!weights.isGone()) {
        throw e;
      }
      return read(
          path,
          latest -> {
            if (!latest.config.withContext(config.context()).equals(config)) {
              throw new CheckpointException(
                  path + " has become another model since it was opened", e);
            }
            return FolderLoad.of(
                latest.withContext(config.context()), backend, settings, ranks, warnings, progress);
          });
    }
  }
}
