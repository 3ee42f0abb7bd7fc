package panamoe.edit;

import panamoe.config.ModelConfig;

/**
 * Surgery on a trained model: the new config, and a function from the model's tensors to the new
 * ones.
 */
public interface Edit {
  /** Reads a tensor of the model by its name in a checkpoint: its elements, row by row. */
  @FunctionalInterface
  interface Source {
    float[] read(String name);
  }

  /** The edited model. */
  ModelConfig config();

  /**
   * The elements of one tensor of the edited model, row by row; a pure function.
   *
   * @param name in a checkpoint, see {@link panamoe.model.ModelTensors}
   * @param source of the model's tensors
   */
  float[] tensor(String name, Source source);
}
