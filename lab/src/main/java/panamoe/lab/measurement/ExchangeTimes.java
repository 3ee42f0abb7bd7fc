package panamoe.lab.measurement;

import java.time.Duration;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.Strategy;
import panamoe.comm.mpi.MpiWorld;
import panamoe.io.Words;

/**
 * Times flat and hierarchical exchanges alternately on ranks of mpirun on several nodes, next to
 * the planner's closed form for the measured links; {@code lab/slowed} runs it. Arguments: rising
 * message sizes in bytes per pair of ranks. Rank 0 prints a table of the best turns, and the sizes
 * from which on flat is faster.
 */
public final class ExchangeTimes {
  private ExchangeTimes() {}

  public static void main(String[] args) {
    try (Communicator world = MpiWorld.open(Duration.ofSeconds(30));
        Backend backend = Backends.open("cpu", 1);
        Exchange flat = Exchange.of(world, Strategy.FLAT, backend);
        Exchange hierarchical = Exchange.of(world, Strategy.HIERARCHICAL, backend)) {
      MeasuredLinks links = MeasuredLinks.of(world, backend);
      say(world, links.toString());
      say(world, "");
      say(
          world,
          Words.of(
              "| bytes from each rank to each of %d | flat, ms | hierarchical, ms |"
                  + " flat / hierarchical | flat, predicted | hierarchical, predicted | predicted |",
              world.size()));
      say(world, "|---:|---:|---:|---:|---:|---:|---:|");
      SwitchPoint measured = new SwitchPoint();
      SwitchPoint predicted = new SwitchPoint();
      for (String argument : args) {
        int bytes = Integer.parseInt(argument);
        Exchange[] both = {flat, hierarchical};
        double[] times = ExchangeTimer.best(world, backend, both, world.size(), bytes);
        double[] expected = {
          links.milliseconds(world.size(), Strategy.FLAT, bytes),
          links.milliseconds(world.size(), Strategy.HIERARCHICAL, bytes)
        };
        measured.add(bytes, times[0] / times[1]);
        predicted.add(bytes, expected[0] / expected[1]);
        say(
            world,
            Words.of(
                "| %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |",
                bytes,
                times[0],
                times[1],
                times[0] / times[1],
                expected[0],
                expected[1],
                expected[0] / expected[1]));
      }
      say(world, "");
      say(world, "flat is faster from " + measured + " on, predicted " + predicted);
    }
    System.exit(0);
  }

  static void say(Communicator world, String line) {
    if (world.rank() == 0) {
      System.out.println(line);
    }
  }
}
