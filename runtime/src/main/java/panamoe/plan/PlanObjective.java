package panamoe.plan;

import java.util.List;
import panamoe.config.ModelConfig;
import panamoe.io.MemoryParts;
import panamoe.tensor.DType;

/** What plans are made for. */
public sealed interface PlanObjective permits Serving, Training {
  ModelConfig config();

  StepModel times();

  DType dtype();

  /** Sequences: of each data rank of a server, or of a step of all ranks. */
  long batch();

  /** Tokens of a sequence. */
  int context();

  /**
   * All plans on all devices of {@code part} that fit into its devices.
   *
   * @param memories of one search
   */
  List<Plan> plans(GpuMemories memories, Cluster part);

  /** The memory of the fullest device with the plan that takes least; null if nothing divides. */
  MemoryParts least(GpuMemories memories, Cluster part);

  Phrases phrases();

  /** Where a plan's time goes: the end of a sentence. */
  String spent(StepTime time);

  /**
   * What messages say.
   *
   * @param impossible what a model that fits nowhere does not: the middle of a sentence
   * @param batch how a batch differs that may help
   * @param unit of a plan's time
   * @param seconds of that unit
   * @param of what a plan's time is for, behind it
   * @param timed what a plan's terms are of
   * @param inCommon what all plans that are found have in common, in a sentence
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
