package panamoe.comm;

import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * This process's rank in the environment variables of its launcher: mpirun, Slurm's srun, or any
 * starter of ranks that connect by TCP. Known before a communicator is open.
 */
public final class LauncherVariables {
  /** This process's rank, for ranks that connect by TCP. */
  public static final String RANK = "PANAMOE_RANK";

  /** How many ranks connect by TCP. */
  public static final String RANKS = "PANAMOE_RANKS";

  /** How many ranks of a TCP world are on this machine. */
  public static final String RANKS_HERE = "PANAMOE_RANKS_HERE";

  /** Set to 1, the ranks of a TCP world encrypt. */
  public static final String ENCRYPT = "PANAMOE_ENCRYPT";

  private LauncherVariables() {}

  /** Warns if this process is asked to encrypt, by a library that sends tensors in the clear. */
  public static void warnOfClearTensors(String library) {
    String warning = clearTensors(System.getenv(), library);
    if (warning != null) {
      System.getLogger(LauncherVariables.class.getName()).log(System.Logger.Level.WARNING, warning);
    }
  }

  /** The warning; null if nobody asked for encryption. */
  static String clearTensors(Map<String, String> environment, String library) {
    return "1".equals(environment.get(ENCRYPT))
        ? ENCRYPT
            + " is 1, but "
            + library
            + " sends tensors without encryption: use a private network, or --comm tcp"
        : null;
  }

  /** Whether this process is a rank of a TCP world. */
  public static boolean byTcp() {
    return number(System.getenv(), RANKS).isPresent();
  }

  /** This process's rank; empty when no launcher started it. */
  public static OptionalInt rank() {
    return byTcp()
        ? number(System.getenv(), RANK)
        : number(System.getenv(), "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID");
  }

  /**
   * How many processes were started together; empty when no launcher started this one. Slurm sets a
   * number of tasks for a batch script too, which is a single process; so the step's number counts.
   */
  public static OptionalInt size() {
    return number(System.getenv(), RANKS, "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS");
  }

  /**
   * The number of processes on this machine that were started together; empty when no launcher
   * started this one.
   */
  public static OptionalInt sizeHere() {
    return sizeHere(System.getenv());
  }

  /** Whether all ranks run on this machine, by the launcher's variables. */
  public static boolean onOneMachine() {
    return size().isPresent() && size().equals(sizeHere());
  }

  /**
   * This process's number among those on this machine, counted from 0; empty when no launcher
   * started this one.
   */
  public static OptionalInt rankHere() {
    return number(
        System.getenv(), "PANAMOE_RANK_HERE", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID");
  }

  /** Whether this process was started together with others. */
  public static boolean amongOthers() {
    return size().orElse(1) > 1;
  }

  /**
   * srun lists the ranks of a machine, but sets their number only with some options. A TCP rank is
   * often the only one in a container.
   */
  static OptionalInt sizeHere(Map<String, String> environment) {
    if (number(environment, RANKS).isPresent()) {
      return OptionalInt.of(Math.max(1, number(environment, RANKS_HERE).orElse(1)));
    }
    String ranks = environment.get("SLURM_GTIDS");
    return ranks == null || environment.containsKey("OMPI_COMM_WORLD_LOCAL_SIZE")
        ? number(environment, "OMPI_COMM_WORLD_LOCAL_SIZE")
        : OptionalInt.of(ranks.split(",").length);
  }

  static OptionalInt number(Map<String, String> environment, String... names) {
    return Stream.of(names)
        .map(environment::get)
        .filter(Objects::nonNull)
        .filter(value -> value.matches("\\d{1,9}"))
        .mapToInt(Integer::parseInt)
        .findFirst();
  }
}
