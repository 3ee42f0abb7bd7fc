package panamoe.comm.mpi;

import java.time.Duration;
import panamoe.comm.Communicator;

/** A process of {@link ClusterTest}: prints how long a barrier takes. */
public final class BarrierTime {
  private static final int BARRIERS = 20;

  private BarrierTime() {}

  public static void main(String[] args) {
    try (Communicator world = MpiWorld.open(Duration.ofSeconds(20))) {
      long start = System.nanoTime();
      for (int i = 0; i < BARRIERS; i++) {
        world.barrier();
      }
      long each = (System.nanoTime() - start) / BARRIERS;
      System.out.println("rank %d barrier %d us".formatted(world.rank(), each / 1000));
    }
  }
}
