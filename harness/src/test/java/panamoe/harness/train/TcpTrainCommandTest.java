package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;
import panamoe.testkit.FreePort;

/** {@code train} as processes that this test starts, without a launcher. */
@Tag("slow")
@Timeout(300)
class TcpTrainCommandTest {
  private static final int RANKS = 2;

  @TempDir private Path folder;
  private final List<Process> processes = new ArrayList<>();
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    text = folder.resolve("text.txt");
    Files.writeString(text, "the committee thanks its members for this report.\n".repeat(900));
  }

  @AfterEach
  void endRanks() {
    processes.forEach(Process::destroyForcibly);
  }

  private List<String> arguments(String run, String... options) {
    List<String> arguments =
        new ArrayList<>(
            List.of("train", "--text", text.toString(), "--out", folder.resolve(run).toString()));
    arguments.addAll(List.of("--preset", "tiny", "--ep", "2"));
    arguments.addAll(List.of(options));
    return arguments;
  }

  private void start(String run, String... options) throws IOException {
    int port = FreePort.find();
    for (int rank = 0; rank < RANKS; rank++) {
      String[] arguments = arguments(run, options).toArray(String[]::new);
      ProcessBuilder builder =
          new ProcessBuilder(SmallJvm.command(Main.class, arguments))
              .redirectErrorStream(true)
              .redirectOutput(said(rank).toFile());
      builder
          .environment()
          .putAll(
              Map.of(
                  "PANAMOE_RANK",
                  String.valueOf(rank),
                  "PANAMOE_RANKS",
                  String.valueOf(RANKS),
                  "PANAMOE_RANKS_HERE",
                  String.valueOf(RANKS),
                  "PANAMOE_RENDEZVOUS",
                  "localhost:" + port,
                  "PANAMOE_SECRET",
                  "nobody knows this",
                  "PANAMOE_ENCRYPT",
                  "1"));
      processes.add(builder.start());
    }
  }

  private Path said(int rank) {
    return folder.resolve("rank" + rank + ".txt");
  }

  private int status(int rank) throws InterruptedException {
    assertTrue(processes.get(rank).waitFor(200, TimeUnit.SECONDS), "rank " + rank + " runs on");
    return processes.get(rank).exitValue();
  }

  @Test
  void theLossesAreThoseOfThreads() throws IOException, InterruptedException {
    start("processes", "--steps", "5", "--comm", "tcp");
    for (int rank = 0; rank < RANKS; rank++) {
      assertEquals(0, status(rank), Files.readString(said(rank)));
    }
    String[] threads = arguments("threads", "--steps", "5", "--ranks", "2").toArray(String[]::new);
    CommandRun ofThreads = CommandRun.of(threads);
    assertEquals(0, ofThreads.exitCode(), ofThreads.err());
    assertEquals(Losses.of(folder.resolve("threads")), Losses.of(folder.resolve("processes")));
  }

  @Test
  void aKilledRankIsNamedByTheOther() throws IOException, InterruptedException {
    start("killed", "--steps", "100000", "--comm", "tcp");
    Path metrics = folder.resolve("killed/metrics.jsonl");
    while (!Files.exists(metrics) || Files.size(metrics) == 0) {
      assertTrue(processes.getFirst().isAlive(), () -> read(said(0)));
      Thread.sleep(50);
    }
    processes.get(1).destroyForcibly();
    assertEquals(1, status(0), () -> read(said(0)));
    String last = read(said(0)).lines().toList().getLast();
    assertEquals("panamoe train: rank 1 is gone: its process ended or was killed", last);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
