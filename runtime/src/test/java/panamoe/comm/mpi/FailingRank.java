package panamoe.comm.mpi;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import panamoe.checkpoint.ArenaMemory;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.LauncherVariables;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A process of {@link MpiFailureTest}: rank 1 fails in the given way; all ranks print the failure
 * that they see. Arguments: the way; optionally a folder, and how many ranks print before any
 * exits.
 */
public final class FailingRank {
  /** The ways that only a timeout notices; a busy machine holds up ranks for longer than that. */
  private static final Set<String> TIMED = Set.of("late", "frozen", "never starts");

  static final Duration PATIENT = Duration.ofMinutes(1);
  private static final Duration IMPATIENT = Duration.ofSeconds(2);

  private FailingRank() {}

  public static void main(String[] args) throws Exception {
    System.out.println("pid " + ProcessHandle.current().pid());
    int status = 1;
    try {
      play(args[0]);
      System.out.println("rank " + LauncherVariables.rank().orElse(0) + " done");
      status = 0;
    } catch (CommunicationException e) {
      System.out.println("rank " + LauncherVariables.rank().orElse(0) + ": " + e.getMessage());
    }
    System.out.flush();
    if (args.length > 1) {
      awaitOthers(Path.of(args[1]), Integer.parseInt(args[2]));
    } else if (status != 0) {
      Thread.sleep(1000);
    }
    Runtime.getRuntime().halt(status);
  }

  /**
   * Waits until this many ranks have printed, because the launcher ends all ranks when one exits.
   */
  private static void awaitOthers(Path folder, int speakers) throws Exception {
    Files.createFile(folder.resolve(String.valueOf(ProcessHandle.current().pid())));
    for (int i = 0; i < 600 && folder.toFile().list().length < speakers; i++) {
      Thread.sleep(50);
    }
  }

  @SuppressWarnings("try") // One way to fail is to close the communicator early.
  private static void play(String trouble) throws Exception {
    boolean mine = LauncherVariables.rank().orElse(0) == 1;
    if (mine && trouble.equals("never starts")) {
      Thread.sleep(Duration.ofDays(1));
    }
    try (TensorScope scope = TensorScope.confined(new ArenaMemory());
        Communicator world = MpiWorld.open(TIMED.contains(trouble) ? IMPATIENT : PATIENT)) {
      world.at("layer 3");
      world.barrier();
      switch (trouble) {
        case "sizes" -> world.allReduce(scope.zeros(DType.FLOAT32, mine ? 5 : 4));
        case "rows" -> {
          long[] send = new long[world.size()];
          long[] receive = new long[world.size()];
          Arrays.fill(send, 2000);
          Arrays.fill(receive, 2000);
          send[0] = mine ? 1999 : 2000;
          Tensor rows = scope.zeros(DType.FLOAT32, 2000L * world.size(), 4);
          world.allToAll(rows, send, scope.zeros(DType.FLOAT32, 2000L * world.size(), 4), receive);
        }
        case "order" -> {
          if (mine) {
            world.allGather(1, 2);
          }
        }
        case "killed" -> signal(mine, "KILL");
        case "killed while others compute" -> {
          signal(mine, "KILL");
          Thread.sleep(Duration.ofMillis(300));
        }
        case "frozen" -> signal(mine, "STOP");
        case "late" -> Thread.sleep(mine ? Duration.ofDays(1) : Duration.ZERO);
        case "leaves" -> {
          if (mine) {
            world.close();
            Thread.sleep(Duration.ofDays(1));
          }
        }
        case "aborts" -> {
          if (mine) {
            world.abort("no more tokens");
          }
        }
        case "nulls" -> nulls();
        default -> throw new IllegalArgumentException(trouble);
      }
      world.barrier();
    }
  }

  private static void signal(boolean mine, String signal) throws Exception {
    if (mine) {
      new ProcessBuilder("kill", "-" + signal, String.valueOf(ProcessHandle.current().pid()))
          .start()
          .waitFor();
      Thread.sleep(Duration.ofDays(1));
    }
  }

  /**
   * Dereferences null until compiled code raises a memory fault, which must reach the JVM's
   * handler.
   */
  private static void nulls() {
    int caught = 0;
    for (int i = 0; i < 500_000; i++) {
      try {
        caught += length(i % 1000 == 0 ? null : "x") - 1;
      } catch (NullPointerException e) {
        caught++;
      }
    }
    System.out.println("caught " + caught);
  }

  private static int length(String text) {
    return text.length();
  }
}
