package panamoe.engine;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.Destination;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.LoadReport;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.config.EarlierForms;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.ReleasedTokenizer;
import panamoe.data.Tokenizer;
import panamoe.data.template.ChatTemplate;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.family.Keys;
import panamoe.model.family.ReleasedModel;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * A trained model on disk: a run's folder (its latest checkpoint), a folder of checkpoints, one
 * checkpoint, or a released model: the folder of Hugging Face, or the first file of GGUF.
 *
 * @param path as it was given
 * @param weights where they are
 * @param config of the model as trained
 * @param tokenizer from {@code tokenizer.json}, or bytes in a run without one; null for a released
 *     model without one
 * @param dropping whether its experts keep their capacity when it is loaded
 */
public record ModelFolder(
    Path path, StoredWeights weights, ModelConfig config, Tokenizer tokenizer, boolean dropping) {
  /** The folder of checkpoints in a run's folder. */
  public static final String CHECKPOINTS = "checkpoints";

  private static final String GGUF = ".gguf";

  /**
   * The folder in that of a quantized model with what a released model's makers wrote beside its
   * weights: the small files of a Hugging Face folder, or {@link #RELEASED_METADATA}.
   */
  public static final String RELEASED = "released";

  /** A GGUF file of metadata alone. */
  public static final String RELEASED_METADATA = "metadata.gguf";

  /** The tokenizer's file in a run's folder; absent in a run on bytes. */
  public static final String TOKENIZER = "tokenizer.json";

  /** What ends a released model's texts, and how its makers draw them. */
  public static final String GENERATION = "generation_config.json";

  /**
   * Opens a folder and reads its configuration, but no weights.
   *
   * @throws CheckpointException if there is no intact checkpoint, or it does not match its
   *     configuration
   * @throws panamoe.data.DataException if the run's tokenizer cannot be used
   */
  public static ModelFolder open(Path path) {
    return read(path, folder -> folder);
  }

  /**
   * Opens a folder and passes it to {@code reader}. If a training run deletes the checkpoint
   * meanwhile, {@code reader} is called again with the latest.
   *
   * @throws CheckpointException like {@link #open}; exceptions of {@code reader} pass through
   */
  public static <T> T read(Path path, Function<ModelFolder, T> reader) {
    HuggingFaceFolder.refusePickle(path);
    Path checkpoints = path.resolve(CHECKPOINTS);
    if (Files.notExists(checkpoints)) {
      Optional<HuggingFaceFolder> released = HuggingFaceFolder.of(path);
      if (released.isPresent()) {
        return reader.apply(of(released.get()));
      }
    }
    if (isGguf(path)) {
      return reader.apply(ofGguf(path));
    }
    // If it is unknown whether the path exists, open it: the failed read says why.
    Path place = Files.isDirectory(path) && !Files.notExists(checkpoints) ? checkpoints : path;
    return Checkpoint.read(place, checkpoint -> reader.apply(of(path, checkpoint)));
  }

  /** Whether a path is of a file in GGUF, by its name. */
  public static boolean isGguf(Path path) {
    return path.toString().endsWith(GGUF) && !Files.isDirectory(path);
  }

  private static ModelFolder of(Path path, Checkpoint checkpoint) {
    ModelConfig config = model(checkpoint);
    if (!checkpoint.experts().equals(config.experts())) {
      throw new CheckpointException(
          checkpoint.directory()
              + " holds experts "
              + checkpoint.experts()
              + " by its manifest, but its config asks for "
              + config.experts());
    }
    boolean quantized = checkpoint.config().has(Checkpoint.QUANTIZATION);
    StoredWeights weights = new StoredWeights.Saved(checkpoint, quantized);
    Optional<Path> makers = makers(checkpoint.directory());
    if (makers.isPresent()) {
      Tokenizer tokenizer = tokenizerOf(makers.get());
      requireFits(path, tokenizer, config);
      return new ModelFolder(path, weights, config, tokenizer, false);
    }
    Tokenizer tokenizer =
        tokenizerFile(path, checkpoint.directory())
            .map(ModelFolder::tokenizerOfRun)
            .orElseGet(ByteTokenizer::new);
    if (!fits(tokenizer, config)) {
      throw new CheckpointException(
          "the tokenizer has "
              + tokenizer.vocabularySize()
              + " tokens but the model of "
              + path
              + " has a vocabulary of "
              + config.vocabulary());
    }
    return new ModelFolder(path, weights, config, tokenizer, false);
  }

  /** The tokenizer in a run's folder: a released model's if the run trains that further. */
  public static Tokenizer tokenizerOfRun(Path file) {
    return isReleased(file) ? ReleasedTokenizer.ofFolder(folder(file)) : JsonTokenizer.load(file);
  }

  /** Whether a tokenizer's file is a released model's, by what lies beside it. */
  public static boolean isReleased(Path tokenizer) {
    return Files.isRegularFile(folder(tokenizer).resolve(GENERATION));
  }

  private static Path folder(Path file) {
    return file.toAbsolutePath().getParent();
  }

  /**
   * Whether a tokenizer is one of a run's model: of as many tokens, or, of a released model, of
   * fewer, as heads are often padded to a round number of rows.
   */
  public static boolean fits(Tokenizer tokenizer, ModelConfig config) {
    int tokens = tokenizer.vocabularySize();
    return tokens == config.vocabulary() || tokens < config.vocabulary() && tokenizer.mayBePadded();
  }

  private static ModelFolder of(HuggingFaceFolder folder) {
    return of(ReleasedModel.of(folder), tokenizerOf(folder.path()));
  }

  private static ModelFolder ofGguf(Path path) {
    try (GgufFile file = GgufFile.open(path)) {
      return of(ReleasedModel.of(file), tokenizerOf(path));
    }
  }

  private static ModelFolder of(ReleasedModel model, Tokenizer tokenizer) {
    requireFits(model.path(), tokenizer, model.config());
    return new ModelFolder(
        model.path(), new StoredWeights.Released(model), model.config(), tokenizer, false);
  }

  /** What makers of a quantized model wrote: their folder, or a GGUF file; empty of others. */
  private static Optional<Path> makers(Path checkpoint) {
    Path folder = checkpoint.resolve(RELEASED);
    Path metadata = folder.resolve(RELEASED_METADATA);
    return Optional.of(Files.exists(metadata) ? metadata : folder).filter(Files::exists);
  }

  /** The tokenizer of a released model; null if it has none. */
  private static Tokenizer tokenizerOf(Path makers) {
    if (!isGguf(makers)) {
      return tokenizerFile(makers).map(_ -> ReleasedTokenizer.ofFolder(makers)).orElse(null);
    }
    try (GgufFile file = GgufFile.open(makers)) {
      return ReleasedTokenizer.ofGguf(file.metadata().values(), makers.toString()).orElse(null);
    }
  }

  private static void requireFits(Path path, Tokenizer tokenizer, ModelConfig config) {
    // Heads are often padded to a round number of rows.
    if (tokenizer != null && tokenizer.vocabularySize() > config.vocabulary()) {
      throw new CheckpointException(
          "the tokenizer has "
              + tokenizer.vocabularySize()
              + " tokens but the model of "
              + path
              + " has a vocabulary of only "
              + config.vocabulary());
    }
  }

  /**
   * The same model, whose experts will drop what goes beyond their capacity, counted over the rows
   * of a step: a text read by an encoder is one. For comparison with transformers' Switch.
   *
   * @throws CheckpointException if it has no encoder: its tokens' results would depend on others
   */
  public ModelFolder withDropping() {
    if (config.encoder() == null) {
      throw new CheckpointException(
          path + " has no encoder: only Switch models can be asked to drop tokens");
    }
    return new ModelFolder(path, weights, config, tokenizer, true);
  }

  /**
   * The checkpoint of a model that was trained here.
   *
   * @throws CheckpointException if it is a released or a quantized model
   */
  public Checkpoint checkpoint() {
    if (weights instanceof StoredWeights.Saved(Checkpoint checkpoint, _) && !quantized()) {
      return checkpoint;
    }
    throw new CheckpointException(
        path
            + (quantized() ? " is a quantized model" : " is a released model")
            + ", and this needs a checkpoint of a run"
            + (quantized() ? "" : ", which panamoe train --from makes of one"));
  }

  /** Whether {@code panamoe quantize} wrote it. */
  public boolean quantized() {
    return weights instanceof StoredWeights.Saved(_, boolean quantized) && quantized;
  }

  /**
   * The tokenizer.
   *
   * @throws CheckpointException if a released model has none
   */
  @Override
  public Tokenizer tokenizer() {
    if (tokenizer == null) {
      throw new CheckpointException(
          path
              + " has no "
              + (isGguf(path) ? "tokenizer that can be read" : TOKENIZER)
              + ", without which it can neither read nor write text");
    }
    return tokenizer;
  }

  /** Whether the model has a tokenizer. */
  public boolean hasTokenizer() {
    return tokenizer != null;
  }

  /**
   * How its makers draw its tokens.
   *
   * @throws CheckpointException if a released model's {@code generation_config.json} is wrong
   */
  public SamplingDefaults sampling() {
    Optional<Keys> said =
        switch (weights) {
          case StoredWeights.Released(ReleasedModel model) -> model.generation();
          case StoredWeights.Saved(Checkpoint checkpoint, _) ->
              HuggingFaceFolder.of(checkpoint.directory().resolve(RELEASED))
                  .flatMap(ReleasedModel::generation);
        };
    return said.map(SamplingDefaults::of).orElse(SamplingDefaults.NONE);
  }

  private static ModelConfig model(Checkpoint checkpoint) {
    String source = source(checkpoint, "model");
    try {
      return EarlierForms.read(checkpoint.config().path("model"), source);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(e.getMessage(), e);
    }
  }

  private static String source(Checkpoint checkpoint, String part) {
    return checkpoint.directory() + "/config.json, " + part;
  }

  /**
   * A part of the configuration in a checkpoint, its model aside.
   *
   * @throws CheckpointException with the file, the JSON path and what is wrong
   */
  public static <T> T part(Checkpoint checkpoint, String name, Class<T> type) {
    try {
      return ConfigJson.read(checkpoint.config().path(name), type, source(checkpoint, name));
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(e.getMessage(), e);
    }
  }

  /**
   * Matrices in the blocks that they are stored in, where kernels multiply by these.
   *
   * @param compute of all else
   * @throws CheckpointException if a file is missing or damaged
   */
  public WeightTypes typesAsStored(DType compute) {
    return ModelTensors.asStored(config, compute, weights.blocks());
  }

  /**
   * Loads the weights for inference, straight from the files to the form that kernels read:
   * operands packed and tables in {@code dtype}, vectors in FLOAT32. The model does not drop
   * tokens, unless it was asked to, because a token's result must not depend on its neighbours. If
   * a training run has deleted the checkpoint since, loads the latest.
   *
   * @param warnings receives the loader's warnings
   * @throws CheckpointException if the weights are damaged, do not match the configuration, or do
   *     not fit into memory
   */
  public LanguageModel load(Backend backend, DType dtype, List<String> warnings) {
    return load(
        backend, InferenceSettings.of(WeightTypes.of(dtype)), Ranks.alone(), warnings, _ -> {});
  }

  /**
   * As above, for numbers that are worth nothing if a weight is damaged.
   *
   * @throws CheckpointException also if a weight is NaN or infinite
   */
  public LanguageModel load(Backend backend, DType dtype) {
    return load(backend, InferenceSettings.of(WeightTypes.of(dtype)), Ranks.alone(), null, _ -> {});
  }

  /**
   * As above, what this rank holds of a model that all {@code ranks} hold together; of the weights
   * it reads no other bytes.
   *
   * @param settings how it is held; where experts are blocks, those stored in such blocks are kept,
   *     and others rounded as they are read
   * @param warnings receives the loader's warnings; null to refuse NaN and infinite weights
   * @param progress is told which part is loaded, 0 to 1, by any thread
   * @throws IllegalArgumentException if the model does not divide among the tensor ranks, or
   *     experts per token do not fit it
   */
  public LanguageModel load(
      Backend backend,
      InferenceSettings settings,
      Ranks ranks,
      List<String> warnings,
      DoubleConsumer progress) {
    try {
      return loadThis(backend, settings, ranks, warnings, progress);
    } catch (CheckpointException e) {
      if (!weights.isGone()) {
        throw e;
      }
      return read(
          path,
          latest -> {
            if (!latest.config.equals(config)) {
              throw new CheckpointException(
                  path + " has become another model since it was opened", e);
            }
            return latest.loadThis(backend, settings, ranks, warnings, progress);
          });
    }
  }

  private LanguageModel loadThis(
      Backend backend,
      InferenceSettings settings,
      Ranks ranks,
      List<String> warnings,
      DoubleConsumer progress) {
    boolean alone = ranks.world().size() == 1;
    WeightTypes types = settings.types();
    ModelConfig limited = settings.config(config);
    ModelConfig serving = dropping ? limited : limited.withGates(GateConfig::withoutDropping);
    boolean whole = InferenceMemory.of(serving, types).weights() <= settings.memory();
    long available = alone && whole ? backend.memoryAvailable() : Long.MAX_VALUE;
    weights.require(serving, types, available, backend.onHost());
    LanguageModel model = new LanguageModel(serving, ranks);
    try {
      if (!whole) {
        if (!alone || serving.encoder() != null) {
          throw new CheckpointException(
              path
                  + " does not fit into --memory, and "
                  + (alone ? "models with an encoder" : "ranks")
                  + " keep no experts on the disk");
        }
        List<String> found =
            ExpertsOnDisk.load(this, backend, settings, warnings == null, model, progress);
        if (warnings != null) {
          warnings.addAll(found);
          model.parameters().note(types).ifPresent(warnings::add);
        }
        return model;
      }
      model.allocate(backend, types);
      Map<String, Destination> destinations = ModelTensors.destinations(model, backend);
      LoadReport report = weights.load(destinations, backend, alone, warnings == null, progress);
      if (warnings != null) {
        warnings.addAll(report.warnings());
        model.parameters().note(types).ifPresent(warnings::add);
      }
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /**
   * The form of its conversations: beside its tokenizer, or in a GGUF's metadata. Empty if the
   * model brings no template.
   *
   * @throws panamoe.data.DataException if there is a template that cannot be used
   */
  public Optional<ChatTemplate> chatTemplate() {
    Path makers = makers(weights.directory()).orElse(path);
    if (!isGguf(makers)) {
      return ChatTemplate.in(home());
    }
    try (GgufFile file = GgufFile.open(makers)) {
      return ChatTemplate.ofGguf(file.metadata().values(), makers.toString());
    }
  }

  /** The folder of the tokenizer, and of what else is not in the weights' files. */
  public Path home() {
    return tokenizerFile().map(Path::toAbsolutePath).map(Path::getParent).orElse(path);
  }

  /** The file of the model's tokenizer; empty for bytes. */
  public Optional<Path> tokenizerFile() {
    return tokenizerFile(path, weights.directory());
  }

  private static Optional<Path> tokenizerFile(Path path, Path checkpoint) {
    // A checkpoint lies in <run>/checkpoints/<step>.
    Path run = checkpoint.toAbsolutePath().getParent().getParent();
    return tokenizerFile(path)
        .or(() -> tokenizerFile(checkpoint.resolve(RELEASED)))
        .or(() -> Optional.ofNullable(run).flatMap(ModelFolder::tokenizerFile));
  }

  private static Optional<Path> tokenizerFile(Path folder) {
    Path file = folder.resolve(TOKENIZER);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    if (!Files.isRegularFile(file)) { // reading a pipe would wait for a writer
      throw new CheckpointException(file + " is not a regular file");
    }
    return Optional.of(file);
  }
}
