package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.backend.GraphCapture;
import panamoe.backend.KernelGraph;
import panamoe.bindings.Moe;
import panamoe.bindings.Status;

/**
 * A graph that an asynchronous device replays as one {@code moe_graph} of the C ABI, which the
 * first replay makes.
 */
final class NativeGraph implements KernelGraph {
  private static final long NONE = 0; // never a valid handle

  private final GraphCapture.CallList<StreamCall> calls;
  private final long stream;
  private long graph = NONE;

  NativeGraph(GraphCapture.CallList<StreamCall> calls, long stream) {
    this.calls = calls;
    this.stream = stream;
  }

  @Override
  public void replay() {
    for (int i = 0; i < calls.size(); i++) {
      calls.calls().get(i).bind();
    }
    if (graph == NONE) {
      graph = capture();
    }
    Status.check(Moe.moe_graph_launch(stream, graph), "moe_graph_launch");
  }

  @Override
  public int size() {
    return calls.size();
  }

  @Override
  public void close() {
    if (graph != NONE) {
      Moe.moe_graph_destroy(graph); // a closed device refuses, and has freed it
      graph = NONE;
    }
  }

  private long capture() {
    Status.check(Moe.moe_graph_begin(stream), "moe_graph_begin");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handle = arena.allocate(ValueLayout.JAVA_LONG);
      try {
        calls.replay();
      } catch (RuntimeException | Error e) {
        // A failed capture must end too, or the stream cannot be used.
        Moe.moe_graph_end(stream, MemorySegment.NULL);
        throw e;
      }
      Status.check(Moe.moe_graph_end(stream, handle), "moe_graph_end");
      return handle.get(ValueLayout.JAVA_LONG, 0);
    }
  }
}
