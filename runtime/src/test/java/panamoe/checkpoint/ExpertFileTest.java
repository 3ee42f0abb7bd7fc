package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExpertFileTest {
  private static final byte[] KEY = new byte[ExpertFile.KEY_BYTES];
  private static final long[] BYTES = {5000, 100, 4096};

  private static final String NAME = "a.experts";

  @TempDir private Path folder;

  /** Opens the file; a unit is filled with its number. */
  private static ExpertFile open(Path folder, Runnable meanwhile) {
    try (Arena arena = Arena.ofConfined()) {
      return ExpertFile.open(
          folder.resolve(NAME),
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
        new Thread(
            () -> second.completeAsync(() -> open(folder, fills::incrementAndGet), Runnable::run));
    Runnable untilTheSecondWaits =
        () -> {
          if (fills.incrementAndGet() == 1) {
            thread.start();
            while (thread.getState() != Thread.State.BLOCKED && thread.isAlive()) {
              Thread.onSpinWait();
            }
          }
        };
    try (ExpertFile first = open(folder, untilTheSecondWaits);
        ExpertFile other = second.join()) {
      assertEquals(2, fills.get(), "one of them fills the file, in two parts");
      assertIntact(first);
      assertIntact(other);
    }
    assertEquals(Set.of(NAME, NAME + ".lock"), names());
  }

  private static void assertIntact(ExpertFile file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment room = arena.allocate(2 * ExpertFile.BLOCK, ExpertFile.BLOCK);
      for (int unit = 0; unit < BYTES.length; unit++) {
        assertTrue(file.read(unit, room));
        assertEquals(unit, room.get(ValueLayout.JAVA_BYTE, BYTES[unit] - 1));
      }
    }
  }

  private Set<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
    }
  }

  /** Another process, which fails to write the file on request. */
  static final class FailingWriter {
    private FailingWriter() {}

    public static void main(String[] arguments) {
      open(
          Path.of(arguments[0]),
          () -> {
            System.out.println("filling");
            try {
              System.in.read();
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
            throw new CheckpointException("the model is damaged");
          });
    }
  }

  private Process startFailingWriter() throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                FailingWriter.class.getName(),
                folder.toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    assertEquals("filling", process.inputReader().readLine());
    return process;
  }

  /** Each waits for the previous one, and fails itself. */
  @Test
  void aProcessThatFailsLeavesTheFileToTheNextOne() throws IOException, InterruptedException {
    Process failing = startFailingWriter();
    CompletableFuture<ExpertFile> waiting = new CompletableFuture<>();
    Thread thread =
        new Thread(() -> waiting.completeAsync(() -> open(folder, () -> {}), Runnable::run));
    thread.start();
    while (Arrays.stream(thread.getStackTrace())
        .noneMatch(frame -> frame.getMethodName().equals("lock"))) {
      assertFalse(waiting.isDone(), "it writes a file that another process is writing");
      Thread.onSpinWait();
    }
    failing.getOutputStream().close();
    assertTrue(failing.waitFor(60, TimeUnit.SECONDS));
    assertEquals(1, failing.exitValue());
    try (ExpertFile file = waiting.join()) {
      assertIntact(file);
    }
    assertEquals(Set.of(NAME, NAME + ".lock"), names());
  }
}
