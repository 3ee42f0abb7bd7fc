package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory of one call: blocks between guards of known bytes. {@code -Dpanamoe.fuzz.guard=0}
 * leaves the guards out, so that AddressSanitizer sees where each block ends.
 */
final class GuardedMemory implements AutoCloseable {
  private static final long GUARD = Long.getLong("panamoe.fuzz.guard", 64);
  private static final long ALIGNMENT = 16;

  private record Block(MemorySegment whole, byte[] before) {}

  private final Arena arena = Arena.ofConfined();
  private final List<MemorySegment> wholes = new ArrayList<>();
  private List<Block> blocks = List.of();

  /** A block of zeros. */
  MemorySegment allocate(long bytes) {
    MemorySegment whole = arena.allocate(GUARD + bytes + GUARD, ALIGNMENT);
    whole.asSlice(0, GUARD).fill((byte) 0xa5);
    whole.asSlice(GUARD + bytes).fill((byte) 0xa5);
    wholes.add(whole);
    return whole.asSlice(GUARD, bytes);
  }

  /** Takes a snapshot of memory. */
  void snapshot() {
    blocks =
        wholes.stream()
            .map(whole -> new Block(whole, whole.toArray(ValueLayout.JAVA_BYTE)))
            .toList();
  }

  /** Whether no guard was written since the snapshot. */
  boolean guardsIntact() {
    return blocks.stream()
        .allMatch(
            block -> {
              long end = block.before.length;
              return same(block, 0, GUARD) && same(block, end - GUARD, end);
            });
  }

  /** Whether nothing at all was written since the snapshot. */
  boolean unchanged() {
    return blocks.stream().allMatch(block -> same(block, 0, block.before.length));
  }

  private static boolean same(Block block, long from, long to) {
    return MemorySegment.mismatch(
            block.whole, from, to, MemorySegment.ofArray(block.before), from, to)
        < 0;
  }

  @Override
  public void close() {
    arena.close();
  }
}
