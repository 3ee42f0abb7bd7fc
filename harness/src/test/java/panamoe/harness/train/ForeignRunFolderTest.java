package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;

/**
 * {@code train} on a run folder from another person: it writes nothing outside and never blocks,
 * whatever the entries are.
 */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class ForeignRunFolderTest {
  private static final String KEPT = "not to be touched";
  private static final List<String> FILES =
      List.of(
          ".lock",
          "config.json",
          "text.json",
          "metrics.jsonl",
          "tokenizer.json",
          "routing.json",
          "reading.json",
          "samples.json",
          "history.json",
          "report.html",
          "plots/bits-per-byte.svg",
          "checkpoints/latest");

  @TempDir private Path folder;
  private Path run;
  private Path outside;

  @BeforeEach
  void train() throws IOException {
    Path text =
        Files.writeString(
            folder.resolve("text.txt"), "The committee thanks its members.\n".repeat(300));
    run = folder.resolve("run");
    CommandRun trained =
        CommandRun.of(
            "train",
            "--text",
            text.toString(),
            "--config",
            TinyRun.config(folder, 2).toString(),
            "--out",
            run.toString());
    assertEquals(0, trained.exitCode(), trained.err());
    outside = Files.writeString(folder.resolve("outside"), KEPT);
  }

  @Test
  void linksToFilesAreRefused() throws IOException {
    for (String name : FILES) {
      Path held = away(name);
      Files.createSymbolicLink(run.resolve(name), outside);
      assertRefused(name, run.resolve(name) + " is a symbolic link, not a regular file");
      back(name, held);
    }
    assertGoesOn();
  }

  @Test
  void pipesAreNotWaitedFor() throws Exception {
    for (String name : FILES) {
      Path held = away(name);
      assertEquals(0, new ProcessBuilder("mkfifo", run.resolve(name).toString()).start().waitFor());
      assertRefused(name, run.resolve(name) + " is a device or pipe, not a regular file");
      if (name.equals("checkpoints/latest") || name.equals("tokenizer.json")) {
        for (String command : List.of("inspect", "generate --prompt a --model")) {
          CommandRun read = CommandRun.of((command + " " + run).split(" "));
          assertEquals(1, read.exitCode(), read.toString());
          assertTrue(read.err().contains(run.resolve(name) + " is "), read.err());
        }
      }
      back(name, held);
    }
    assertGoesOn();
  }

  @Test
  void linksToFoldersAreRefused() throws IOException {
    for (String name : List.of("checkpoints", "plots")) {
      Path held = away(name);
      Files.createSymbolicLink(run.resolve(name), held);
      assertRefused(
          name,
          run.resolve(name)
              + " is a symbolic link, not a directory: to keep a run on another disk, make "
              + run
              + " itself the link, or replace the link by the directory");
      back(name, held);
    }
    assertGoesOn();
  }

  /** A killed process may leave any temporary files. */
  @Test
  void whatLiesWhereAFileIsWrittenFirstGivesWay() throws IOException {
    for (String name :
        List.of(
            ".config.json.tmp",
            ".text.json.tmp",
            ".metrics.jsonl.tmp",
            ".report.html.tmp",
            "report.html.tmp",
            "plots/.bits-per-byte.svg.tmp",
            "checkpoints/.latest.tmp-" + ProcessHandle.current().pid(),
            "checkpoints/.step-00000003.tmp-" + ProcessHandle.current().pid())) {
      Files.createSymbolicLink(run.resolve(name), outside);
    }
    assertGoesOn();
  }

  @Test
  void theFolderItselfMayBeALink() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link"), run);
    CommandRun further =
        CommandRun.of("train", "--resume", "--steps", "3", "--out", link.toString());
    assertEquals(0, further.exitCode(), further.err());
  }

  private void assertRefused(String name, String sentence) throws IOException {
    CommandRun refused =
        CommandRun.of("train", "--resume", "--steps", "3", "--out", run.toString());
    assertEquals(1, refused.exitCode(), name + ": " + refused);
    assertTrue(
        refused.err().endsWith("panamoe train: " + sentence + System.lineSeparator()),
        refused.err());
    assertEquals(KEPT, Files.readString(outside), name);
  }

  private void assertGoesOn() throws IOException {
    CommandRun further =
        CommandRun.of("train", "--resume", "--steps", "3", "--out", run.toString());
    assertEquals(0, further.exitCode(), further.err());
    assertEquals(KEPT, Files.readString(outside));
  }

  private Path away(String name) throws IOException {
    Path held = folder.resolve("held");
    if (Files.exists(run.resolve(name))) {
      Files.move(run.resolve(name), held);
    }
    return held;
  }

  private void back(String name, Path held) throws IOException {
    Files.delete(run.resolve(name));
    if (Files.exists(held)) {
      Files.move(held, run.resolve(name));
    }
  }
}
