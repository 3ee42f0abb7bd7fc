package panamoe.comm;

import java.time.Duration;
import panamoe.comm.mpi.MpiWorld;

/** Opens the world of a program whose ranks are processes. Ranks that are threads: {@link ThreadWorld}. */
public final class Communicators {
  private Communicators() {}

  /**
   * Meets all other processes of the launch; called once by each, early. Which rank this is, {@link Launch#rank} tells
   * even before. Close the world at the end, when all went well: that waits for the others. After a failure just exit
   * with another status than 0.
   *
   * <p>Success of a run is what rank 0 says at its end, not the launcher's exit status alone: mpirun may end with 0
   * when a whole node is lost.
   *
   * @param kind {@code mpi}: Open MPI 5, started by mpirun or srun; without them, a world of one rank. NCCL joins the
   *     cards of ranks that have met: {@link panamoe.comm.nccl.NcclCommunicator#open}
   * @param timeout how long a rank waits for another that is late before it gives the world up; a rank whose process
   *     ends is noticed at once, one that is frozen or cut off within 10 s. Starting may take six times as long
   * @throws CommunicationException in one sentence: the library is not there, or the others did not come
   * @throws IllegalArgumentException if there is no such kind
   */
  public static Communicator open(String kind, Duration timeout) {
    requireAvailable(kind);
    return MpiWorld.open(timeout);
  }

  /**
   * Looks for the library, starts nothing.
   *
   * @throws CommunicationException in one sentence, if {@link #open} has no chance
   * @throws IllegalArgumentException if there is no such kind
   */
  public static void requireAvailable(String kind) {
    if (!kind.equals("mpi")) {
      throw new IllegalArgumentException("no communicator '" + kind + "' joins processes: there is mpi");
    }
    MpiWorld.requireLibrary();
  }
}
