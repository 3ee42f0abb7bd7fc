package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** The example of {@link TrainableModel}'s documentation; a test runs it. */
final class TrainableModelExample {
  private TrainableModelExample() {}

  /**
   * @return the loss of the first and of the last step
   */
  static double[] run() {
    // @start region="model"
    byte[] text = "to be or not to be, that is the question".getBytes();
    int length = text.length - 1;
    ModelSettings settings =
        ModelSettings.of(256, 64, 32, 2, List.of(0, 4, 0, 8)).withResidual(true); // PR-MoE
    double[] losses = new double[20];
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(Device.Type.AUTO, 0);
        TrainableModel model = TrainableModel.create(device, settings, 42)) {
      MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, length);
      MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, length);
      for (int i = 0; i < length; i++) {
        tokens.setAtIndex(ValueLayout.JAVA_INT, i, text[i]);
        targets.setAtIndex(ValueLayout.JAVA_INT, i, text[i + 1]);
      }
      Parameters parameters = model.parameters();
      for (int n = 0; n < losses.length; n++) {
        parameters.zeroGradients();
        try (ModelStep step = model.train(tokens, targets, 1, length, n)) {
          step.backward();
          losses[n] = step.loss();
        }
        for (String name : parameters.names()) { // your own optimizer: plain gradient descent
          MemorySegment weights = parameters.value(name);
          MemorySegment gradient = parameters.gradient(name);
          for (long i = 0; i < weights.byteSize() / Float.BYTES; i++) {
            float moved =
                weights.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                    - 0.1f * gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            weights.setAtIndex(ValueLayout.JAVA_FLOAT, i, moved);
          }
        }
      }
    }
    return new double[] {losses[0], losses[losses.length - 1]};
    // @end
  }
}
