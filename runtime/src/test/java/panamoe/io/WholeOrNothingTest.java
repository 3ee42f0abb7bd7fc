package panamoe.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WholeOrNothingTest {
  @TempDir private Path folder;

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private static void fill(Path hidden) throws IOException {
    Files.createDirectory(hidden);
    Files.writeString(hidden.resolve("first"), "1");
    Files.writeString(Files.createDirectory(hidden.resolve("below")).resolve("second"), "2");
  }

  @Test
  void nothingIsLeftOfAFailure() throws IOException {
    Path wanted = folder.resolve("new/below/model");
    IOException full =
        assertThrows(
            IOException.class,
            () ->
                WholeOrNothing.make(
                    wanted,
                    hidden -> {
                      fill(hidden);
                      throw new IOException("No space left on device");
                    }));
    assertEquals(wanted + ": No space left on device", full.getMessage());
    assertEquals(List.of(), names());
  }

  @Test
  void nothingElseIsThereBeforeAllIsWritten() throws IOException {
    Path wanted = folder.resolve("model");
    WholeOrNothing.make(
        wanted,
        hidden -> {
          fill(hidden);
          assertEquals(List.of(hidden.getFileName().toString()), names());
        });
    assertEquals(List.of("model"), names());
    assertEquals("2", Files.readString(wanted.resolve("below/second")));
  }

  @Test
  void whatAKilledProcessLeftIsDeleted() throws IOException {
    fill(folder.resolve(".model.tmp-999999999999"));
    Path running = Files.createFile(folder.resolve(".model.tmp-1"));
    WholeOrNothing.make(folder.resolve("model"), WholeOrNothingTest::fill);
    assertEquals(Set.of("model", running.getFileName().toString()), Set.copyOf(names()));
  }

  @Test
  void foldersAboveThatOthersUseStay() throws IOException {
    Path wanted = folder.resolve("new/below/model");
    assertThrows(
        IOException.class,
        () ->
            WholeOrNothing.make(
                wanted,
                hidden -> {
                  Files.createFile(folder.resolve("new/other"));
                  throw new IOException("No space left on device");
                }));
    assertEquals(List.of("new"), names());
    assertFalse(Files.exists(wanted.getParent()));
  }

  @Test
  void aFileIsReplacedByAWholeOneOnly() throws IOException {
    Path file = Files.writeString(folder.resolve("trace"), "old");
    Path link = Files.createSymbolicLink(folder.resolve("link"), file);
    assertThrows(
        IOException.class,
        () ->
            WholeOrNothing.replace(
                link,
                hidden -> {
                  Files.writeString(hidden, "a part");
                  throw new IOException("No space left on device");
                }));
    assertEquals("old", Files.readString(file));
    WholeOrNothing.replace(link, hidden -> Files.writeString(hidden, "new"));
    assertEquals("new", Files.readString(file));
    assertEquals(List.of("link", "trace"), names());
  }

  /** It must not become a file. */
  @Test
  void aDeviceIsWrittenTo() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("full"), Path.of("/dev/full"));
    IOException full =
        assertThrows(
            IOException.class,
            () -> WholeOrNothing.replace(link, file -> Files.writeString(file, "a trace")));
    assertEquals(link + ": No space left on device", full.getMessage());
    assertEquals(List.of("full"), names());
    assertFalse(Files.isRegularFile(link));
    Files.delete(link); // or else the runner warns of where it leads
  }

  @Test
  void whatIsThereStays() throws IOException {
    Path taken = Files.writeString(folder.resolve("taken"), "mine");
    assertThrows(
        FileAlreadyExistsException.class,
        () -> WholeOrNothing.make(taken, WholeOrNothingTest::fill));
    assertEquals("mine", Files.readString(taken));
    Path empty = Files.createDirectory(folder.resolve("empty"));
    FileAlreadyExistsException refusal =
        assertThrows(
            FileAlreadyExistsException.class,
            () -> WholeOrNothing.make(empty, hidden -> Files.writeString(hidden, "a file")));
    assertEquals(empty.toString(), refusal.getMessage());
    assertEquals(List.of("empty", "taken"), names());
    WholeOrNothing.make(empty, WholeOrNothingTest::fill);
    assertEquals("1", Files.readString(empty.resolve("first")));
  }
}
