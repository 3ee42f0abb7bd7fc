package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/** The examples of docs/embedding.md; {@link EmbeddingExampleTest} runs them. */
final class EmbeddingExample {
  private EmbeddingExample() {}

  // @start region="taking-turns"
  /** For any number of threads: they wait for each other. */
  static void forward(
      Device device, MoeLayer layer, MemorySegment x, MemorySegment y, long tokens) {
    synchronized (device) {
      layer.forward(x, y, tokens);
    }
  }

  // @end

  // @start region="pool"
  /** Layers with equal parameters, each on a device of its own. */
  static BlockingQueue<MoeLayer> pool(int layers, LayerSettings settings, long seed) {
    BlockingQueue<MoeLayer> idle = new ArrayBlockingQueue<>(layers);
    for (int i = 0; i < layers; i++) {
      idle.add(MoeLayer.create(Device.open(Device.Type.AUTO, 1), settings, seed));
    }
    return idle;
  }

  /** Up to as many threads as there are layers compute at a time. */
  static void forward(BlockingQueue<MoeLayer> idle, MemorySegment x, MemorySegment y, long tokens)
      throws InterruptedException {
    MoeLayer layer = idle.take();
    try {
      layer.forward(x, y, tokens);
    } finally {
      idle.add(layer);
    }
  }

  // @end

  static float buffers(MoeLayer layer) {
    // @start region="buffers"
    ByteBuffer in = ByteBuffer.allocateDirect(16 * 64 * Float.BYTES).order(ByteOrder.nativeOrder());
    ByteBuffer out =
        ByteBuffer.allocateDirect(16 * 64 * Float.BYTES).order(ByteOrder.nativeOrder());
    in.putFloat(0, 1);
    layer.forward(MemorySegment.ofBuffer(in), MemorySegment.ofBuffer(out), 16);
    float first = out.getFloat(0);
    // @end
    return first;
  }
}
