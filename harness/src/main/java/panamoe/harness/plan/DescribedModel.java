package panamoe.harness.plan;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.ModelConfig;
import panamoe.open.ModelFolder;
import panamoe.plan.NamedModels;
import panamoe.tensor.DType;

/**
 * What {@code MODEL} names: a model of the paper, or one on disk.
 *
 * @param folder null: of the paper
 */
record DescribedModel(ModelConfig config, ModelFolder folder) {
  /**
   * Reads its configuration, and no weights.
   *
   * @throws IllegalArgumentException that says which names there are
   * @throws CheckpointException if what is on disk is no model
   */
  static DescribedModel of(String name) {
    Path path = Path.of(name);
    if (name.isBlank() || !Files.exists(path)) {
      return new DescribedModel(NamedModels.of(name), null);
    }
    ModelFolder folder = ModelFolder.open(path);
    return new DescribedModel(folder.config(), folder);
  }

  /** Says that {@code dtype} is counted, where weights are stored in blocks of fewer bits. */
  void note(DType dtype, PrintWriter notes) {
    if (folder != null && hasBlocks()) {
      notes.println(
          "note: weights of "
              + folder.path()
              + " are stored in blocks; the plan counts them in "
              + dtype.name().toLowerCase(Locale.ROOT));
    }
  }

  private boolean hasBlocks() {
    try {
      return !folder.weights().blocks(config).isEmpty();
    } catch (CheckpointException _) {
      return false; // a configuration is planned whose weights are elsewhere
    }
  }
}
