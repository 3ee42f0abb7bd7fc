package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExpertFileTest {
  private static final byte[] KEY = new byte[ExpertFile.KEY_BYTES];
  private static final long[] BYTES = {5000, 100, 4096};

  @TempDir private Path folder;

  /** Opens the file; a unit is filled with its number. */
  private ExpertFile open(Runnable meanwhile) {
    try (Arena arena = Arena.ofConfined()) {
      return ExpertFile.open(
          folder.resolve("a.experts"),
          KEY,
          BYTES,
          arena.allocate(2 * ExpertFile.BLOCK, ExpertFile.BLOCK),
          (from, into) -> {
            meanwhile.run();
            for (int i = 0; i < into.length; i++) {
              into[i].fill((byte) (from + i));
            }
          });
    }
  }

  /** Two models in one process, such as two servers of a test, may be loaded at the same time. */
  @Test
  void aThreadWaitsForAnotherOneThatWritesTheFile() throws IOException {
    AtomicInteger fills = new AtomicInteger();
    CompletableFuture<ExpertFile> second = new CompletableFuture<>();
    Thread thread =
        new Thread(() -> second.completeAsync(() -> open(fills::incrementAndGet), Runnable::run));
    Runnable untilTheSecondWaits =
        () -> {
          if (fills.incrementAndGet() == 1) {
            thread.start();
            while (thread.getState() != Thread.State.BLOCKED && thread.isAlive()) {
              Thread.onSpinWait();
            }
          }
        };
    try (ExpertFile first = open(untilTheSecondWaits);
        ExpertFile other = second.join();
        Arena arena = Arena.ofConfined()) {
      assertEquals(2, fills.get(), "one of them fills the file, in two parts");
      MemorySegment room = arena.allocate(2 * ExpertFile.BLOCK, ExpertFile.BLOCK);
      for (ExpertFile file : List.of(first, other)) {
        for (int unit = 0; unit < BYTES.length; unit++) {
          assertTrue(file.read(unit, room));
          assertEquals(unit, room.get(ValueLayout.JAVA_BYTE, BYTES[unit] - 1));
        }
      }
    }
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(folder.resolve("a.experts")), files.toList());
    }
  }
}
