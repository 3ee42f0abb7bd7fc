package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** The example of {@link TrainableModel#prefer}'s documentation; a test runs it. */
final class PreferenceExample {
  private PreferenceExample() {}

  /**
   * @return the first and the last step's loss, and the last one's accuracy
   */
  static double[] run() {
    // @start region="preference"
    String[] answers = {"Coffee? Yes, please.", "Coffee? No, thanks. "}; // chosen, rejected
    int prompt = "Coffee?".length();
    int length = answers[0].length() - 1;
    double[] losses = new double[20];
    double accuracy = 0;
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(Device.Type.AUTO, 0);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(256, 64, 32, 2, List.of(0, 4)), 42);
        AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL)) {
      MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, 2L * length);
      MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, 2L * length);
      for (int i = 0; i < 2 * length; i++) {
        String text = answers[i / length];
        int at = i % length;
        tokens.setAtIndex(ValueLayout.JAVA_INT, i, text.charAt(at));
        targets.setAtIndex(ValueLayout.JAVA_INT, i, at + 1 < prompt ? -1 : text.charAt(at + 1));
      }
      double[] before = model.logProbabilities(tokens, targets, 2, length);
      Preference reference = new Preference(0.1, before);
      for (int n = 0; n < losses.length; n++) {
        model.parameters().zeroGradients();
        try (ModelStep step = model.prefer(tokens, targets, reference, 2, length, n)) {
          step.backward();
          losses[n] = step.loss();
          accuracy = step.accuracy();
        }
        optimizer.step(1e-2);
      }
    }
    return new double[] {losses[0], losses[losses.length - 1], accuracy};
    // @end
  }
}
