package panamoe.comm;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import panamoe.io.Require;
import panamoe.io.Words;

/**
 * A world whose ranks are threads of this process. Immutable: setters return a changed copy, {@link
 * #run} starts the ranks. Thread-safe.
 *
 * <p>Nodes are declared: they decide which messages count as near or far, and their cost on the
 * virtual clock ({@link ThreadCommunicator#seconds}). This simulates many ranks on many nodes with
 * few cores.
 */
public final class ThreadWorld {
  /** The limit of {@link java.util.concurrent.Phaser}. */
  private static final int MOST_RANKS = 65_535;

  private static final Duration TIMEOUT = Duration.ofSeconds(10);

  @FunctionalInterface
  public interface Body<T> {
    T run(ThreadCommunicator world) throws Exception;
  }

  private final int[] nodes;
  private final Duration timeout;
  private final VirtualClock.Links links;

  private ThreadWorld(int[] nodes, Duration timeout, VirtualClock.Links links) {
    this.nodes = nodes;
    this.timeout = timeout;
    this.links = links;
  }

  /** {@code ranks} ranks on one node, with free links and a timeout of 10 s. */
  public static ThreadWorld of(int ranks) {
    Require.that(ranks >= 1, "a world needs at least one rank, not %s", ranks);
    Require.that(
        ranks <= MOST_RANKS, "a world of threads has at most %s ranks, not %s", MOST_RANKS, ranks);
    return new ThreadWorld(new int[ranks], TIMEOUT, VirtualClock.Links.FREE);
  }

  /** {@code nodes} nodes of {@code ranks} ranks each, numbered node by node. */
  public static ThreadWorld of(int nodes, int ranks) {
    return of(Math.multiplyExact(nodes, ranks))
        .on(IntStream.range(0, nodes * ranks).map(r -> r / ranks).toArray());
  }

  /**
   * @param nodes the node of each rank, counted from 0
   */
  public ThreadWorld on(int... nodes) {
    if (nodes.length != this.nodes.length || Arrays.stream(nodes).anyMatch(node -> node < 0)) {
      throw new IllegalArgumentException(
          "expected the nodes of " + this.nodes.length + " ranks, not " + Arrays.toString(nodes));
    }
    return new ThreadWorld(nodes.clone(), timeout, links);
  }

  /** Sets how long a rank waits for the others before it fails. */
  public ThreadWorld timeout(Duration timeout) {
    return new ThreadWorld(nodes, timeout, links);
  }

  /** Sets the cost of messages on the virtual clock, within a node and between nodes. */
  public ThreadWorld links(LinkCost near, LinkCost far) {
    return with(new VirtualClock.Links(near, far, links.scale(), links.watcher()));
  }

  /**
   * Counts each byte of a tensor as {@code scale} bytes on the virtual clock, so that short rows
   * simulate long ones.
   */
  public ThreadWorld scaled(double scale) {
    return with(new VirtualClock.Links(links.near(), links.far(), scale, links.watcher()));
  }

  /**
   * Passes each rank's spans of virtual time to {@code watcher}, in the rank's order, from many
   * threads.
   */
  public ThreadWorld watchedBy(Consumer<VirtualSpan> watcher) {
    return with(new VirtualClock.Links(links.near(), links.far(), links.scale(), watcher));
  }

  private ThreadWorld with(VirtualClock.Links others) {
    return new ThreadWorld(nodes, timeout, others);
  }

  /**
   * Runs every rank on its own thread and waits for all of them. A rank that does not end within a
   * timeout after another failed is interrupted; if it still does not end, it remains as a daemon
   * thread.
   *
   * @return the ranks' results, by rank
   * @throws CommunicationException that names the first rank that failed, with its exception as the
   *     cause
   */
  public <T> List<T> run(Body<T> body) {
    WorldFailure failure = new WorldFailure(timeout);
    VirtualClock clock = new VirtualClock(nodes, links);
    ThreadBarrier group =
        new ThreadBarrier("world", IntStream.range(0, nodes.length).toArray(), failure, clock);
    List<T> results = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int rank = 0; rank < nodes.length; rank++) {
      results.add(null);
      ThreadCommunicator world = new ThreadCommunicator(group, rank, nodes, failure, clock, null);
      threads.add(
          Thread.ofPlatform()
              .daemon()
              .name("rank " + rank)
              .unstarted(() -> play(body, world, results, failure)));
    }
    join(start(threads, failure), failure);
    if (failure.failed()) {
      throw failure.exception();
    }
    return results;
  }

  /**
   * Starts the threads; if the system refuses one, fails the world. Returns the threads that run.
   */
  private static List<Thread> start(List<Thread> threads, WorldFailure failure) {
    for (int rank = 0; rank < threads.size(); rank++) {
      try {
        threads.get(rank).start();
      } catch (OutOfMemoryError e) { // limit of threads, or no memory for a stack
        failure.fail(
            Words.of(
                "the system started threads for only %s of %s ranks: %s",
                rank, threads.size(), e.getMessage()),
            e);
        return threads.subList(0, rank);
      }
    }
    return threads;
  }

  private static <T> void play(
      Body<T> body, ThreadCommunicator world, List<T> results, WorldFailure failure) {
    try {
      results.set(world.rank(), body.run(world));
    } catch (Throwable e) {
      String what = e instanceof CommunicationException ? e.getMessage() : e.toString();
      failure.fail("rank " + world.rank() + " failed: " + what, e);
    } finally {
      world.leave("has ended");
    }
  }

  private void join(List<Thread> threads, WorldFailure failure) {
    try {
      for (Thread thread : threads) {
        while (!failure.failed() && !thread.join(Duration.ofMillis(100))) {}
      }
      long deadline = System.nanoTime() + timeout.toNanos();
      for (Thread thread : threads) {
        if (!thread.join(Duration.ofNanos(Math.max(1, deadline - System.nanoTime())))) {
          thread.interrupt();
          thread.join(Duration.ofSeconds(1));
        }
      }
    } catch (InterruptedException e) {
      failure.fail("the thread that runs the ranks was interrupted", e);
      threads.forEach(Thread::interrupt);
      Thread.currentThread().interrupt();
    }
  }
}
