package panamoe.comm.mpi;

import java.io.PrintWriter;
import java.time.Duration;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;
import panamoe.comm.Communicator;
import panamoe.comm.CommunicatorContract;

/**
 * A process of {@link MpiCommunicatorTest}: runs its rank of every case of the contract, in JUnit's
 * deterministic order, and prints how many passed. Skips cases for more ranks than this world has.
 */
public final class ContractOnRanks {
  private static Communicator world;

  private ContractOnRanks() {}

  /** The contract among the first ranks of the world. */
  static final class Contract extends CommunicatorContract {
    @Override
    protected void run(int ranks, Body body) {
      if (ranks > world.size()) {
        return;
      }
      boolean plays = world.rank() < ranks;
      Communicator group = world.split(plays ? 1 : 0, 0, "world");
      try {
        if (plays) {
          body.run(group);
        }
        world.barrier();
        group.close();
      } catch (Throwable e) {
        world.abort(e.toString());
        throw new AssertionError("rank " + world.rank() + ": " + e, e);
      }
    }
  }

  /**
   * @param args bytes of the longest message
   */
  public static void main(String[] args) {
    world = MpiWorld.open(Duration.ofSeconds(30), Long.parseLong(args[0]));
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectClass(Contract.class))
                .build(),
            listener);
    TestExecutionSummary summary = listener.getSummary();
    summary.printFailuresTo(new PrintWriter(System.err), 10);
    boolean passed = summary.getTotalFailureCount() == 0 && summary.getTestsSucceededCount() > 0;
    if (passed) {
      System.out.println(
          "rank %d of %d passed %d cases on node %d"
              .formatted(
                  world.rank(), world.size(), summary.getTestsSucceededCount(), world.node()));
      world.close();
    }
    System.exit(passed ? 0 : 1);
  }
}
