package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;

/**
 * Runs a command as ranks of a real mpirun: {@code panamoe train} on the text of a folder, or
 * another.
 */
public final class RankProcesses implements AutoCloseable {
  private static final int LIMIT_SECONDS = 600;

  /** Rank 1 has no special settings. */
  public static final String ALIKE = ":";

  private final Path folder;
  private final Path text;
  private final List<String> arguments;

  private Path output;
  private Process mpirun;
  private boolean recovery;

  /**
   * @param status exit status of mpirun
   * @param said output of mpirun and the ranks
   */
  public record TrainingResult(int status, String said) {}

  /**
   * @param folder for the text and the ranks' output
   */
  RankProcesses(Path folder) throws IOException {
    this.folder = folder;
    this.text = folder.resolve("text.txt");
    this.arguments = List.of("train", "--text", text.toString());
    Files.writeString(text, "the committee thanks its members for this report.\n".repeat(900));
  }

  /**
   * @param folder for the ranks' output
   * @param arguments of the command, before those of a start
   */
  public RankProcesses(Path folder, String... arguments) {
    this.folder = folder;
    this.text = null;
    this.arguments = List.of(arguments);
  }

  /** Starts mpirun so that it does not end the ranks when it sees that one was killed. */
  public RankProcesses withRecovery() {
    recovery = true;
    return this;
  }

  Path text() {
    return text;
  }

  /**
   * Starts the ranks.
   *
   * @param rank1 shell commands that only rank 1 runs first, such as {@code export} of a variable
   *     or {@code set} of options
   */
  public void start(int ranks, String rank1, String... options) throws IOException {
    for (int rank = 0; rank < ranks; rank++) {
      Files.deleteIfExists(pidFile(rank));
    }
    List<String> command =
        new ArrayList<>(List.of("mpirun", "--allow-run-as-root", "--oversubscribe"));
    if (recovery) {
      command.add("--enable-recovery");
    }
    command.addAll(
        List.of("-n", String.valueOf(ranks), "--mca", "pml", "ob1", "--mca", "btl", "self,sm"));
    command.addAll(List.of("--mca", "mpi_yield_when_idle", "1"));
    String script =
        "echo $$ > "
            + pidFile("$OMPI_COMM_WORLD_RANK")
            + "; if [ $OMPI_COMM_WORLD_RANK = 1 ]; then "
            + rank1
            + "; fi; exec \"$@\"";
    command.addAll(List.of("sh", "-c", script, "sh"));
    command.addAll(SmallJvm.command(Main.class, arguments.toArray(String[]::new)));
    command.addAll(List.of(options));
    output = Files.createTempFile(folder, "said", ".txt");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
    builder.environment().put("PANAMOE_NCCL_PATH", GpuTrainCommandTest.LIBRARY.toString());
    mpirun = builder.start();
  }

  public boolean running() {
    return mpirun.isAlive();
  }

  /** The rank's JVM, after the rank has begun to train; empty when it has ended. */
  public Optional<ProcessHandle> jvm(int rank) {
    return ProcessHandle.of(Long.parseLong(read(pidFile(rank)).strip()));
  }

  /**
   * @throws AssertionError if they do not end in time
   */
  public TrainingResult await() throws InterruptedException {
    assertTrue(
        mpirun.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS), () -> "mpirun did not end: " + said());
    return new TrainingResult(mpirun.exitValue(), said());
  }

  /** Starts the ranks and waits for them. */
  TrainingResult run(int ranks, String rank1, String... options)
      throws IOException, InterruptedException {
    start(ranks, rank1, options);
    return await();
  }

  public String said() {
    return read(output);
  }

  private Path pidFile(Object rank) {
    return folder.resolve("pid." + rank);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** mpirun ends its ranks on SIGTERM, but not on SIGKILL. */
  @Override
  public void close() {
    if (mpirun != null) {
      mpirun.destroy();
    }
  }
}
