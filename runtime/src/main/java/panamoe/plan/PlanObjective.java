package panamoe.plan;

import java.util.List;
import panamoe.config.ModelConfig;
import panamoe.io.MemoryParts;
import panamoe.tensor.DType;

/** What a search plans: serving or training a model. */
public sealed interface PlanObjective permits ServingObjective, TrainingObjective {
  ModelConfig config();

  StepModel times();

  DType dtype();

  /** Sequences per data rank in serving; sequences per step of all ranks in training. */
  long batch();

  int context();

  /**
   * All plans that use every device of {@code part} and fit in memory.
   *
   * @param memories shared within one search
   */
  List<Plan> plans(GpuMemories memories, Cluster part);

  /**
   * The smallest memory of the fullest device over all topologies; null if none divides the batch.
   */
  MemoryParts least(GpuMemories memories, Cluster part);

  Phrases phrases();

  /** The largest part of a plan's time, as the end of a sentence. */
  String spent(StepTime time);

  /**
   * Words for messages.
   *
   * @param impossible predicate for a model that does not fit, such as "cannot be trained"
   * @param batch the change of the batch that may help: "larger" or "smaller"
   * @param unit in which a plan's time is printed
   * @param seconds of one unit
   * @param of suffix of a plan's time, such as " for a token"
   * @param timed what a plan's terms sum to, such as "token"
   * @param inCommon a sentence on what all printed plans have in common
   */
  record Phrases(
      String impossible,
      String batch,
      String unit,
      double seconds,
      String of,
      String timed,
      String inCommon) {}
}
