package panamoe.parallel;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.comm.Communicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;

class RanksTest {
  @Test
  void closesEveryGroupItMadeAndLeavesTheWorldOpen() {
    ThreadWorld.of(2, 2)
        .run(
            world -> {
              Ranks ranks =
                  new Ranks(new Topology(4, 2, 2, 2), world, Strategy.HIERARCHICAL, Overlap.NONE);
              Ranks.ExpertGroups experts = ranks.experts(2);
              ranks.exchange(experts, new ReferenceBackend());
              ranks.close();
              for (Communicator closed :
                  List.of(ranks.tensor(), ranks.data(), experts.group(), experts.replicas())) {
                assertThrows(IllegalStateException.class, closed::barrier, closed.name());
              }
              world.barrier();
              return null;
            });
  }
}
