package panamoe.backend.reference;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.backend.Backend;
import panamoe.backend.GraphCapture;
import panamoe.backend.HostMemory;
import panamoe.backend.KernelGraph;

/**
 * Every kernel in plain Java: slow, clear, computed in float64 and rounded once at the output. The
 * fast backends are tested against it, and it defines each operation; each family of kernels is one
 * file of this package. Needs no native library.
 *
 * <p>Memory is its arena's or garbage-collected, and filled with bytes 0xff: a float read before it
 * was written is NaN.
 */
public final class ReferenceBackend
    implements Backend,
        ReferenceElementwise,
        ReferenceRandom,
        ReferenceEmbedding,
        ReferenceNorm,
        ReferenceRotary,
        ReferenceHeads,
        ReferenceAttention,
        ReferenceCache,
        ReferenceGemm,
        ReferenceGate,
        ReferenceGateBackward,
        ReferenceBalance,
        ReferenceDispatch,
        ReferenceSlots,
        ReferenceExchange,
        ReferenceExpert,
        ReferenceCombine,
        ReferenceLoss,
        ReferenceOptimizer,
        ReferenceSample {
  private static final long ALIGNMENT = 64;

  private final GraphCapture<Runnable> capture = new GraphCapture<>();

  @Override
  public String name() {
    return "reference";
  }

  @Override
  public long memoryAvailable() {
    return HostMemory.available();
  }

  @Override
  public MemorySegment allocate(long bytes) {
    return allocate(bytes, Arena.ofAuto());
  }

  @Override
  public MemorySegment allocate(long bytes, Arena arena) {
    return arena.allocate(Math.max(bytes, 1), ALIGNMENT).fill((byte) 0xff);
  }

  /** Nothing to do: the garbage collector, or the arena, frees the memory. */
  @Override
  public void free(MemorySegment memory) {}

  @Override
  public void launch(Runnable call) {
    capture.launch(call);
  }

  @Override
  public KernelGraph capture(Runnable step) {
    return capture.capture(step);
  }

  @Override
  public Backend secondStream() {
    return new ReferenceBackend();
  }

  /** Nothing to do: every call is done when it returns. */
  @Override
  public void synchronize() {}

  @Override
  public void close() {}
}
