package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** The example of {@link TrainableModel#train}'s documentation; a test runs it. */
final class MaskedExample {
  private MaskedExample() {}

  /**
   * @return the loss of the first and of the last step
   */
  static double[] run() {
    // @start region="masked"
    byte[] prompt = "2 + 2 = ".getBytes();
    byte[] text = "2 + 2 = four".getBytes();
    int length = text.length - 1;
    double[] losses = new double[30];
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(Device.Type.AUTO, 0);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(256, 64, 32, 2, List.of(0, 4)), 42);
        AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL)) {
      MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, length);
      MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, length);
      for (int i = 0; i < length; i++) {
        tokens.setAtIndex(ValueLayout.JAVA_INT, i, text[i]);
        boolean answer = i + 1 >= prompt.length;
        targets.setAtIndex(ValueLayout.JAVA_INT, i, answer ? text[i + 1] : -1);
      }
      for (int n = 0; n < losses.length; n++) {
        model.parameters().zeroGradients();
        try (ModelStep step = model.train(tokens, targets, 1, length, n)) {
          step.backward();
          losses[n] = step.loss(); // of "four" alone
        }
        optimizer.step(1e-2);
      }
    }
    return new double[] {losses[0], losses[losses.length - 1]};
    // @end
  }
}
