package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import panamoe.config.GateConfig;
import panamoe.config.InitialWeights;
import panamoe.config.ModelConfig;
import panamoe.data.PreparedText;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.model.family.ReleasedModel;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.open.TokenizerFiles;
import panamoe.train.ConfigDifference;

/**
 * A model that a run trains further, or adapters of.
 *
 * @param config of the run's model: the released one plus the gates' training losses, unless the
 *     run trains adapters
 */
record BaseModel(ModelFolder folder, ModelConfig config) {
  /**
   * @throws IllegalArgumentException if it is a run or a quantized model
   * @throws panamoe.checkpoint.CheckpointException if it cannot be read
   */
  static BaseModel open(Path path) {
    ModelFolder folder = ModelFolder.open(path);
    if (folder.weights() instanceof StoredWeights.Released(ReleasedModel model)) {
      folder.tokenizer(); // refuses a model that has no tokenizer
      return new BaseModel(folder, model.trained());
    }
    throw Require.refusal(
        "--from takes a released model, and %s is a %s",
        path,
        folder.quantized()
            ? "quantized model; begin with the model that it was made of"
            : "run; panamoe train --resume trains it further");
  }

  /** Opens a model of any kind, which adapters leave as it is. */
  static BaseModel toAdapt(Path path) {
    ModelFolder folder = ModelFolder.open(path);
    folder.tokenizer(); // refuses a model that has no tokenizer
    return new BaseModel(folder, folder.config());
  }

  /**
   * Checks that a configuration describes this model.
   *
   * @param file of the configuration
   */
  void requireShape(ModelConfig other, Path file) {
    String differs =
        ConfigDifference.between(ConfigJson.tree(shape(config)), ConfigJson.tree(shape(other)));
    Require.that(
        differs.isEmpty(), "%s describes another model than %s: %s", file, folder.path(), differs);
  }

  /** The model without settings that training may change. */
  private static ModelConfig shape(ModelConfig model) {
    ModelConfig plain =
        model.withGates(
            gate ->
                gate.withCapacity(GateConfig.Capacity.DROPLESS)
                    .withLoss(new GateConfig.Loss(true, 0, 0)));
    return new ModelConfig(
        plain.vocabulary(),
        plain.context(),
        plain.hidden(),
        plain.embedding(),
        plain.blocks(),
        plain.finalNorm(),
        plain.head(),
        InitialWeights.of(1, plain.layers()),
        plain.encoder());
  }

  /** Checks that prepared tokens are of this model's tokenizer. */
  void requireTokensOf(Path data) throws IOException {
    Optional<Path> theirs = PreparedText.open(data).tokenizerFile();
    byte[] own = folder.tokenizerFiles().contents().get(TokenizerFiles.TOKENIZER);
    Require.that(
        theirs.isPresent() && Arrays.equals(Files.readAllBytes(theirs.get()), own),
        "the tokens in %s are of another tokenizer than that of %s; encode the text with the"
            + " model's by panamoe data prepare --tokenizer",
        data,
        folder.path());
  }
}
