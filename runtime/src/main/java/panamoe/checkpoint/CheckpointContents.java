package panamoe.checkpoint;

import java.util.List;
import java.util.Map;
import panamoe.io.Require;
import panamoe.tensor.Elements;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.ObjectNode;

/**
 * The contents of a checkpoint to be saved. The tensors belong to the caller and are read during
 * the save, one after the other.
 *
 * @param step training steps done, at least 0; part of the checkpoint's name
 * @param config the model's configuration
 * @param state everything else that the trainer needs to continue: tokens seen, seeds, position in
 *     the data
 * @param experts the number of experts of each layer, 0 for a dense layer
 * @param model weights by name, one tensor per expert (see {@link ExpertTensors})
 * @param optimizer moments and master weights by name; may be empty
 */
public record CheckpointContents(
    long step,
    ObjectNode config,
    ObjectNode state,
    List<Integer> experts,
    Map<String, ? extends Elements> model,
    Map<String, Tensor> optimizer) {

  /** Copies the collections, not the tensors. */
  public CheckpointContents {
    Require.that(step >= 0, "step is %s, expected at least 0", step);
    experts = List.copyOf(experts);
    model = Map.copyOf(model);
    optimizer = Map.copyOf(optimizer);
  }
}
