package panamoe.comm.mpi;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import panamoe.comm.LauncherVariables;
import panamoe.io.Words;

/**
 * Ends the process when starting takes too long: MPI_Init waits for all ranks, without a timeout.
 * Rank 0 prints the reason and exits; the others wait 3 s longer, so that mpirun can end them
 * first.
 */
final class StartLimit implements AutoCloseable {
  private static final Duration AFTER_RANK_0 = Duration.ofSeconds(10);

  private final CountDownLatch started = new CountDownLatch(1);

  StartLimit(Duration limit) {
    int rank = LauncherVariables.rank().orElse(0);
    String who =
        "rank "
            + rank
            + LauncherVariables.size().stream()
                .mapToObj(size -> " of " + size)
                .findFirst()
                .orElse("");
    String sentence =
        Words.of(
            "%s waited %d s for the others to start: a rank never called MPI_Init",
            who, limit.toSeconds());
    Duration mine = rank == 0 ? limit : limit.plus(AFTER_RANK_0);
    Thread.ofPlatform().daemon().name("start limit").start(() -> watch(mine, sentence));
  }

  private void watch(Duration limit, String sentence) {
    try {
      if (!started.await(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        System.err.println("panamoe: " + sentence);
        Runtime.getRuntime().halt(1);
      }
    } catch (InterruptedException e) {
      throw new AssertionError("nobody interrupts this thread", e);
    }
  }

  @Override
  public void close() {
    started.countDown();
  }
}
