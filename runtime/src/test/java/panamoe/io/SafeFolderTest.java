package panamoe.io;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Writing and reading through {@link SafeFolder}, and which failures are retried. */
class SafeFolderTest {
  private static final byte[] BYTES = "new".getBytes(UTF_8);

  @TempDir private Path directory;
  private Path folder;
  private Path outside;
  private SafeFolder files;

  @BeforeEach
  void make() throws IOException {
    folder = directory.resolve("above/run");
    files = new SafeFolder(folder);
    files.make();
    files.make(); // it exists already
    outside = Files.createDirectory(directory.resolve("outside"));
    Files.writeString(outside.resolve("file"), "old");
  }

  @Test
  void writesAndReads() throws IOException {
    files.makeFolder("plots");
    files.makeFolder("plots");
    assertEquals(folder.resolve("plots/a.svg"), files.replace("plots/a.svg", BYTES));
    files.replace("plots/a.svg", "newer".getBytes(UTF_8));
    files.append("log", BYTES);
    files.append("log", BYTES);
    files.forceFile("log");
    assertEquals("newnew", new String(files.read("log"), UTF_8));
    assertEquals("newer", Files.readString(folder.resolve("plots/a.svg")));
    assertEquals(List.of("a.svg"), files.names("plots")); // no temporary file is left
    assertEquals(List.of(), files.names("none"));
    files.delete("log");
    files.delete("log");
    assertEquals(List.of("plots"), files.names(""));
  }

  @Test
  void nothingGoesThroughALinkAtAnyDepth() throws IOException {
    Files.createSymbolicLink(folder.resolve("file"), outside.resolve("file"));
    Files.createSymbolicLink(folder.resolve("plots"), outside);
    Files.createSymbolicLink(folder.resolve("dangling"), outside.resolve("made"));
    for (String name : List.of("file", "plots/file", "dangling")) {
      for (Executable each :
          List.<Executable>of(
              () -> files.replace(name, BYTES),
              () -> files.append(name, BYTES),
              () -> files.read(name),
              () -> files.openLock(name).close(),
              () -> files.delete(name),
              () -> files.forceFile(name),
              () -> files.makeFolder(name))) {
        assertThrows(NotRegularException.class, each, name);
      }
    }
    assertEquals("old", Files.readString(outside.resolve("file")));
    assertEquals(List.of("file"), new SafeFolder(outside).names(""));
  }

  @Test
  void belowAFileThereIsNothing() throws IOException {
    assertEquals(PathKind.NONE, PathKind.at(outside.resolve("file/below")));
    assertEquals(PathKind.NONE, PathKind.behind(outside.resolve("none/below")));
    assertEquals(PathKind.FOLDER, PathKind.at(outside));
  }

  @Test
  void aFailedWriteLeavesTheFileAndNothingElse() throws IOException {
    files.replace("config", BYTES);
    Files.createDirectories(folder.resolve(".config.tmp/full"));
    FileSystemException failure =
        assertThrows(FileSystemException.class, () -> files.replace("config", BYTES));
    assertEquals(
        "folder is not empty: " + folder.resolve(".config.tmp"), FileErrors.sentence(failure));
    assertArrayEquals(BYTES, files.read("config"));
  }

  @Test
  void onlyWhatMayPassIsTriedOnceMore() throws IOException {
    for (IOException passing :
        List.of(
            new IOException("Input/output error"),
            new FileSystemException("f", null, "Too many open files"))) {
      AtomicInteger calls = new AtomicInteger();
      assertEquals(
          2,
          FileErrors.twice(
              () -> {
                if (calls.incrementAndGet() == 1) {
                  throw passing;
                }
                return calls.get();
              }));
      assertThrows(
          IOException.class,
          () ->
              FileErrors.twice(
                  () -> {
                    calls.incrementAndGet();
                    throw passing;
                  }));
      assertEquals(4, calls.get());
    }
    for (IOException lasting :
        List.of(
            new NoSuchFileException("f"),
            new AccessDeniedException("f"),
            new ClosedByInterruptException())) {
      AtomicInteger calls = new AtomicInteger();
      assertThrows(
          IOException.class,
          () ->
              FileErrors.twice(
                  () -> {
                    calls.incrementAndGet();
                    throw lasting;
                  }));
      assertEquals(1, calls.get(), lasting.toString());
    }
    assertTrue(FileErrors.reason(new ClosedByInterruptException()).contains("interrupted"));
  }
}
