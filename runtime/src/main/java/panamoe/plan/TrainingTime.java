package panamoe.plan;

/**
 * The time of an optimizer step on the rank that takes longest.
 *
 * @param step by {@link TrainingTerm}
 * @param dropped share of the routes that experts' capacities drop, over all layers
 */
public record TrainingTime(StepTime step, double dropped) {
  /** The sum of its terms. */
  public double seconds() {
    return step.seconds();
  }
}
