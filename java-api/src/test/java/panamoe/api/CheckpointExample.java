package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

/** An example of {@link TrainableModel}'s documentation; a test runs it. */
final class CheckpointExample {
  private CheckpointExample() {}

  /**
   * @param tokens INT32 [length], and what follows each
   * @return the loss after the last step
   */
  static double run(Path folder, MemorySegment tokens, MemorySegment targets, int length) {
    // @start region="checkpoint"
    ModelSettings settings =
        ModelSettings.of(257, 64, 32, 2, List.of(0, 4, 0, 8)).withResidual(true); // PR-MoE
    try (Device device = Device.open(Device.Type.AUTO, 0);
        TrainableModel model = TrainableModel.create(device, settings, 42)) {
      AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL);
      for (int n = 0; n < 10; n++) {
        train(model, optimizer, tokens, targets, length);
      }
      model.save(folder, optimizer);
    }
    // Later, in another process: the next step has the bits that it would have had.
    try (Device device = Device.open(Device.Type.AUTO, 0);
        TrainableModel model = TrainableModel.load(device, folder)) {
      AdamW optimizer = AdamW.resume(model, AdamWSettings.USUAL);
      return train(model, optimizer, tokens, targets, length);
    }
    // @end
  }

  // @start region="step"
  static double train(
      TrainableModel model,
      AdamW optimizer,
      MemorySegment tokens,
      MemorySegment targets,
      int length) {
    model.parameters().zeroGradients();
    try (ModelStep step = model.train(tokens, targets, 1, length, optimizer.steps())) {
      step.backward();
      optimizer.step(2e-3);
      return step.loss();
    }
  }
  // @end
}
