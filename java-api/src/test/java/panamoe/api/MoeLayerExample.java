package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/** The example of the README and of {@link MoeLayer}'s documentation; a test runs it. */
final class MoeLayerExample {
  private MoeLayerExample() {}

  static double run() {
    // @start region="layer"
    LayerSettings settings = LayerSettings.of(64, 256, 8, 2).withResidual(true);
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(Device.Type.AUTO, 0);
        MoeLayer layer = MoeLayer.create(device, settings, 42)) {
      MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64); // 16 tokens of width 64
      MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64);
      MemorySegment dx = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64);
      for (int i = 0; i < 16 * 64; i++)
        x.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) Math.sin(i));
      try (LayerStep step = layer.train(x, y, 16, 7)) {
        step.backward(y, dx); // the gradient of the loss |y|^2 / 2 is y itself
        System.out.println("tokens per expert: " + step.gate().tokensPerExpert());
      }
      return layer
          .parameters()
          .gradient("moe.experts.up.weight")
          .getAtIndex(ValueLayout.JAVA_FLOAT, 0);
    }
    // @end
  }

  static float infer(Device device, Path folder, float[][] batches) {
    // @start region="prepared"
    try (Arena arena = Arena.ofConfined();
        MoeLayer layer = MoeLayer.open(device, folder, Precision.FLOAT32)) {
      MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64);
      MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64);
      float sum = 0;
      try (PreparedForward forward = layer.prepare(x, y, 16)) {
        for (float[] batch : batches) {
          x.copyFrom(MemorySegment.ofArray(batch));
          forward.run(); // makes no garbage
          sum += y.getAtIndex(ValueLayout.JAVA_FLOAT, 0);
        }
      }
      return sum;
    }
    // @end
  }
}
