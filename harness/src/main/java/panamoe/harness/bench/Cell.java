package panamoe.harness.bench;

import panamoe.harness.ComputeType;

/**
 * One line of the table: what is measured, and at what size.
 *
 * @param model that {@code kind} runs, if it runs a whole one
 */
record Cell(
    Kind kind,
    GenerationModel model,
    LayerShape shape,
    int tokens,
    ComputeType dtype,
    int threads) {
  /** The kind, with the model where that is not the usual one. */
  String name() {
    return kind.label() + (model == GenerationModel.PAPER ? "" : " " + model);
  }
}
