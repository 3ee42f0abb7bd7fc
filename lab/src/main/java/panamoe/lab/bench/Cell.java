package panamoe.lab.bench;

import panamoe.harness.ComputeType;

/**
 * One line of the table: what is measured, and at what size.
 *
 * @param model that {@code kind} runs, if it runs a whole one
 * @param file whose model it runs instead; null usually
 * @param texts of {@code tokens} tokens each, where a prefill or a decode is of several
 */
record Cell(
    Kind kind,
    GenerationModel model,
    ModelFile file,
    LayerShape shape,
    int tokens,
    int texts,
    ComputeType dtype,
    int threads) {
  /** The kind, with the model where that is not the usual one. */
  String name() {
    if (file != null) {
      return kind + " " + file.name();
    }
    return kind + (model == GenerationModel.PAPER ? "" : " " + model);
  }
}
