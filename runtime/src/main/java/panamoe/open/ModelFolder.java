package panamoe.open;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
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
 * @param tokenizerFiles with its tokenizer, chat template and defaults of sampling
 * @param tokenizer null for a model without one: a released one, or one on other tokens than bytes
 * @param dropping whether its experts keep their capacity when it is loaded
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

  private static final String GGUF = ".gguf";

  /**
   * Opens a folder and reads its configuration, but no weights.
   *
   * @throws CheckpointException if there is no intact checkpoint, or it does not match its
   *     configuration
   * @throws panamoe.io.DataException if the run's tokenizer cannot be used
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
        return reader.apply(of(ReleasedModel.of(released.get())));
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
          "%s holds experts %s by its manifest, but its config asks for %s",
          checkpoint.directory(), checkpoint.experts(), config.experts());
    }
    boolean quantized = checkpoint.config().has(Checkpoint.QUANTIZATION);
    StoredWeights weights = new StoredWeights.Saved(checkpoint, quantized);
    return of(path, weights, config, TokenizerFiles.beside(path, checkpoint.directory()));
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
          "the tokenizer has %s tokens but the model of %s has a vocabulary of %s",
          tokenizer.vocabularySize(), path, config.vocabulary());
    }
    return new ModelFolder(path, weights, config, files, tokenizer, false);
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
    return new ModelFolder(path, weights, config, tokenizerFiles, tokenizer, true);
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
        "%s is a %s model, and this needs a checkpoint of a run%s",
        path,
        quantized() ? "quantized" : "released",
        quantized() || config.encoder() != null ? "" : ", which panamoe train --from makes of one");
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
   * Matrices in the blocks that they are stored in, where kernels multiply by these.
   *
   * @param compute of all else
   * @throws CheckpointException if a file is missing or damaged
   */
  public WeightTypes typesAsStored(DType compute) {
    return ModelTensors.asStored(config, compute, weights.blocks(config));
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
    return load(backend, InferenceSettings.of(WeightTypes.of(dtype)), warnings);
  }

  /**
   * Loads the weights for inference, and refuses damaged ones: for results that they would make
   * worthless.
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

  /**
   * Loads what this rank holds of a model that all {@code ranks} hold together, and reads no other
   * bytes of the weights. Every rank calls this at the same time.
   *
   * @param settings how it is held; where experts are blocks, those stored in such blocks are kept,
   *     and others rounded as they are read
   * @param warnings receives the loader's warnings; null to refuse NaN and infinite weights
   * @param progress is told which part is loaded, 0 to 1, by any thread
   * @throws CheckpointException also if the ranks of a machine have no room for it together
   * @throws IllegalArgumentException if the model does not divide among the tensor ranks, or
   *     experts per token do not fit it
   */
  public LanguageModel load(
      Backend backend,
      InferenceSettings settings,
      Ranks ranks,
      List<String> warnings,
      DoubleConsumer progress) {
    if (ranks.world().size() > 1 && backend.onHost()) {
      InferenceMemory.requireShares(this, settings, ranks, backend.memoryAvailable());
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
            if (!latest.config.equals(config)) {
              throw new CheckpointException(
                  path + " has become another model since it was opened", e);
            }
            return FolderLoad.of(latest, backend, settings, ranks, warnings, progress);
          });
    }
  }
}
