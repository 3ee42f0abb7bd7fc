package panamoe.comm.mpi;

import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.ArenaMemory;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.comm.Traffic;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.comm.exchange.Strategy;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A process of {@link ClusterTest}: exchanges rows with every strategy in both directions, and
 * prints the number of messages, the bytes to other nodes, and a hash of the received bits.
 */
public final class ExchangeOnRanks {
  private static final int WIDTH = 33;
  private static final ArenaMemory MEMORY = new ArenaMemory();

  private ExchangeOnRanks() {}

  public static void main(String[] args) {
    try (Communicator world = MpiWorld.open(Duration.ofSeconds(20))) {
      for (Strategy strategy : new Strategy[] {Strategy.FLAT, Strategy.HIERARCHICAL}) {
        try (Exchange exchange = Exchange.of(world, strategy, new ReferenceBackend())) {
          play(strategy.name(), world, world, SelfCommunicator.WORLD, world.rank(), exchange);
        }
      }
      // Two tensor ranks with the same rows, on one node; their experts are spread over the nodes.
      try (Communicator tensor = world.split(world.rank() / 2, world.rank(), "tensor");
          Communicator group = world.split(world.rank() % 2, world.rank(), "expert")) {
        try (Exchange exchange = Exchange.of(group, Strategy.FLAT, new ReferenceBackend())) {
          play("ALIKE", world, group, SelfCommunicator.WORLD, group.rank(), exchange);
        }
        try (Exchange exchange =
            Exchange.coordinated(group, tensor, tensor, Strategy.FLAT, new ReferenceBackend())) {
          play("COORDINATED", world, group, tensor, group.rank(), exchange);
        }
      }
    }
  }

  /**
   * @param slices each returns a term of the sum
   * @param source number of the rows: ranks with one source have equal rows
   */
  private static void play(
      String name,
      Communicator world,
      Communicator group,
      Communicator slices,
      int source,
      Exchange exchange) {
    Random random = new Random(source);
    long[] counts =
        IntStream.range(0, 2 * group.size()).mapToLong(_ -> 1 + random.nextInt(40)).toArray();
    ExchangePlan plan = exchange.plan(counts, 4 * WIDTH);
    try (TensorScope scope = TensorScope.confined(MEMORY)) {
      Tensor rows = scope.allocate(DType.FLOAT32, plan.rows(), WIDTH);
      for (long i = 0; i < rows.count(); i++) {
        rows.setFloat(i, random.nextFloat());
      }
      Tensor arrived = scope.zeros(DType.FLOAT32, plan.arrived(), WIDTH);
      Tensor returned = scope.zeros(DType.FLOAT32, plan.rows(), WIDTH);
      Traffic before = world.traffic();
      plan.forward(rows, arrived);
      Traffic after = world.traffic();
      Tensor term = scope.zeros(DType.FLOAT32, arrived.shape());
      if (slices.rank() == 0) {
        term.data().copyFrom(arrived.data());
      }
      plan.reverse(term, returned);
      if (!same(rows, returned)) {
        throw new AssertionError(name + ": what returned is not what was sent");
      }
      // One write: the ranks' lines must not mix.
      System.out.println(
          "rank %d %s: %d near and %d far messages, %d far bytes, bits %08x"
              .formatted(
                  world.rank(),
                  name,
                  after.nearMessages() - before.nearMessages(),
                  after.farMessages() - before.farMessages(),
                  after.farBytes() - before.farBytes(),
                  bits(arrived)));
    }
  }

  private static boolean same(Tensor a, Tensor b) {
    return a.data().mismatch(b.data()) == -1;
  }

  private static int bits(Tensor tensor) {
    return Arrays.hashCode(tensor.data().toArray(ValueLayout.JAVA_INT));
  }
}
