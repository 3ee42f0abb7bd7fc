package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/** The example of {@link TrainableModel#adapt}'s documentation; a test runs it. */
final class AdaptersExample {
  private AdaptersExample() {}

  /**
   * @param folder of a model of 256 tokens
   * @param adapted receives the adapters
   * @return the loss of the first and of the last step
   */
  static double[] run(Path folder, Path adapted) {
    // @start region="adapters"
    byte[] text = "to be or not to be, that is the question".getBytes();
    int length = text.length - 1;
    double[] losses = new double[30];
    Adapters adapters = Adapters.of(4, "attention", "experts");
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(Device.Type.AUTO, 0);
        TrainableModel model =
            TrainableModel.adapt(device, folder, adapters, Execution.FLOAT32, 42);
        AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL)) {
      MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, length);
      MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, length);
      for (int i = 0; i < length; i++) {
        tokens.setAtIndex(ValueLayout.JAVA_INT, i, text[i]);
        targets.setAtIndex(ValueLayout.JAVA_INT, i, text[i + 1]);
      }
      for (int n = 0; n < losses.length; n++) {
        model.parameters().zeroGradients();
        try (ModelStep step = model.train(tokens, targets, 1, length, n)) {
          step.backward();
          losses[n] = step.loss();
        }
        optimizer.step(1e-2);
      }
      model.save(adapted, optimizer); // MoeModel.open reads it
    }
    return new double[] {losses[0], losses[losses.length - 1]};
    // @end
  }
}
