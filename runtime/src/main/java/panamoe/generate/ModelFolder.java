package panamoe.generate;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.checkpoint.AvailableMemory;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.model.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelConfig;
import panamoe.model.ModelTensors;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A trained model on disk: a run's folder (its latest checkpoint), a folder of checkpoints, or one checkpoint.
 *
 * @param checkpoint where the weights are
 * @param config of the model, as it was trained
 * @param tokenizer the run's {@code tokenizer.json}, or bytes
 */
public record ModelFolder(Checkpoint checkpoint, ModelConfig config, Tokenizer tokenizer) {
  /** The folder of checkpoints in a run's folder. */
  public static final String CHECKPOINTS = "checkpoints";

  /** The tokenizer's file in a run's folder, where the run does not work on bytes. */
  public static final String TOKENIZER = "tokenizer.json";

  /**
   * Opens a folder; reads the configuration, no weights.
   *
   * @throws CheckpointException if there is no whole checkpoint, or it does not belong to its configuration
   */
  public static ModelFolder open(Path path) {
    Path checkpoints = path.resolve(CHECKPOINTS);
    Checkpoint checkpoint = Checkpoint.open(Files.isDirectory(checkpoints) ? checkpoints : path);
    JsonNode model = checkpoint.config().path("model");
    ModelConfig config = ConfigJson.read(model, ModelConfig.class, checkpoint.directory() + "/config.json, model");
    if (!checkpoint.experts().equals(config.experts())) {
      throw new CheckpointException(
          checkpoint.directory()
              + " holds experts "
              + checkpoint.experts()
              + " by its manifest, but its config asks for "
              + config.experts());
    }
    Tokenizer tokenizer = tokenizer(path, checkpoint.directory());
    if (tokenizer.vocabularySize() != config.vocabulary()) {
      throw new CheckpointException(
          "the tokenizer has "
              + tokenizer.vocabularySize()
              + " tokens but the model of "
              + path
              + " has a vocabulary of "
              + config.vocabulary());
    }
    return new ModelFolder(checkpoint, config, tokenizer);
  }

  /**
   * Loads the weights for inference, packed in {@code dtype}, without token dropping: what a token sees must not depend on
   * its neighbours.
   *
   * @param warnings receives what the loader tolerated
   */
  public LanguageModel load(Backend backend, DType dtype, List<String> warnings) {
    checkpoint.requireFits(AvailableMemory.bytes());
    ModelConfig serving = config.gate() == null ? config : config.withGate(config.gate().withoutDropping());
    LanguageModel model = new LanguageModel(serving);
    try {
      model.materialize(backend, dtype, false, 0);
      Map<String, Tensor> weights = ModelTensors.masters(model);
      warnings.addAll(checkpoint.loadModel(weights, false, false).warnings());
      model.parameters().refresh(backend);
      model.pack(backend, dtype);
      return model;
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  private static Tokenizer tokenizer(Path path, Path checkpoint) {
    // A checkpoint lies in <run>/checkpoints/<step>.
    for (Path folder : new Path[] {path, checkpoint.toAbsolutePath().getParent().getParent()}) {
      if (folder != null && Files.exists(folder.resolve(TOKENIZER))) {
        return JsonTokenizer.load(folder.resolve(TOKENIZER));
      }
    }
    return new ByteTokenizer();
  }
}
