package panamoe.lab.bench;

import panamoe.harness.ComputeType;

/**
 * One line of the table: what is measured, and at what size.
 *
 * @param model that {@code kind} runs, if it runs a whole model
 * @param file with the model to run instead; may be null
 * @param texts number of sequences of a prefill or decode, each of {@code tokens} tokens
 */
record Cell(
    BenchKind kind,
    GenerationModel model,
    ModelFile file,
    LayerShape shape,
    int tokens,
    int texts,
    ComputeType dtype,
    int threads) {
  /** The kind, with the model if it is not the default one. */
  String name() {
    if (file != null) {
      return kind + " " + file.name();
    }
    return kind + (model == GenerationModel.PAPER ? "" : " " + model);
  }
}
