package panamoe.lab.conformance.deepspeed;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;

/**
 * DeepSpeed's {@code MoE} layer whose experts are on several processes, replayed on as many ranks
 * as threads: what each process recorded is a case of {@link LayerCases} on its rank.
 */
public final class ExpertParallelCases {
  private ExpertParallelCases() {}

  public static void layer(Replay replay) {
    GoldenFile golden = replay.golden();
    int world = 0;
    while (golden.has(prefix(world) + "x")) {
      world++;
    }
    Topology topology = new Topology(world, golden.hyper("ep").asInt(), 1, 1);
    List<Replay> replays =
        ThreadWorld.of(world)
            .run(
                rank -> {
                  Ranks ranks = new Ranks(topology, rank, Strategy.FLAT, Overlap.NONE);
                  try (GoldenFile recorded = golden.part(prefix(rank.rank()));
                      Backend backend = Backends.open(replay.backend().name(), 1);
                      Replay ofRank = new Replay(recorded, backend)) {
                    LayerCases.layer(ofRank, ranks);
                    ranks.close();
                    return ofRank; // what it found outlives its tensors
                  }
                });
    for (int rank = 0; rank < world; rank++) {
      replay.include(prefix(rank), replays.get(rank));
    }
  }

  private static String prefix(int rank) {
    return "rank" + rank + ".";
  }
}
