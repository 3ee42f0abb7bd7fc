package panamoe.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import panamoe.comm.Communicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;

class TopologyTest {
  private static String refusal(int ranks, int expert, int tensor, int slices) {
    return assertThrows(
            IllegalArgumentException.class, () -> new Topology(ranks, expert, tensor, slices))
        .getMessage();
  }

  @Test
  void degreesThatDoNotFitGetOneSentence() {
    assertEquals("a world of 6 ranks does not divide into tensor groups of 4", refusal(6, 1, 4, 1));
    assertEquals(
        "a world of 8 ranks has 8 data ranks, which do not divide into expert groups of 3",
        refusal(8, 3, 1, 1));
    assertEquals(
        "a world of 8 ranks has 4 data ranks with a tensor degree of 2, which do not divide into expert groups of 8",
        refusal(8, 8, 2, 2));
    assertEquals("ranks is 0, expected 1 or more", refusal(0, 1, 1, 1));
    assertEquals("the number of expert slices is 0, expected 1 or more", refusal(2, 1, 2, 0));
    assertEquals(
        "experts are sliced over tensor ranks, but the tensor degree is 4, which 3 expert slices do not divide",
        refusal(8, 1, 4, 3));
    String among12 =
        "a world of 24 ranks has 6 data ranks with a tensor degree of 4, which do not divide into expert groups of %d; a larger expert degree is a multiple of 6 that divides 12 (ranks / expert slices)";
    assertEquals(among12.formatted(4), refusal(24, 4, 4, 2));
    assertEquals(among12.formatted(24), refusal(24, 24, 4, 2));
  }

  /**
   * The example of DeepSpeed-MoE §4.1.3: layers of 32, 64 and 128 experts on 128 ranks, one expert
   * per rank.
   */
  @Test
  void everyLayerHasItsOwnDegree() {
    Topology topology = Topology.of(128);
    assertEquals(
        List.of(32, 64, 128), IntStream.of(32, 64, 128).mapToObj(topology::expertDegree).toList());
    assertEquals(1, Topology.firstExpert(32, 32, 1) - Topology.firstExpert(32, 32, 0));
    assertEquals(4, topology.expertDataDegree(32));
  }

  @Test
  void aDegreeGivesWayUntilItDividesTheDataRanks() {
    Topology topology = Topology.of(8);
    assertEquals(2, topology.expertDegree(3));
    assertEquals(4, topology.expertDegree(6));
    assertEquals(
        List.of(0, 1, 3),
        IntStream.rangeClosed(0, 2).mapToObj(i -> Topology.firstExpert(3, 2, i)).toList());
  }

  /** Figure 7 of DeepSpeed-MoE: 16 ranks, tensor degree 4, 2 slices of each of 8 experts. */
  @Test
  void moreRanksThanExpertsSliceThem() {
    Topology topology = new Topology(16, 8, 4, 2);
    assertEquals(
        List.of(8, 8, 4, 4, 2),
        IntStream.of(9, 8, 7, 5, 3).mapToObj(topology::expertDegree).toList());
    List<String> groups =
        ThreadWorld.of(16)
            .run(
                world -> {
                  Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
                  Ranks.ExpertGroups experts = ranks.experts(8);
                  Ranks.ExpertGroups few = ranks.experts(4);
                  return experts.group().name()
                      + members(ranks.slices(), world.rank())
                      + members(experts.group(), world.rank())
                      + experts.held().getFirst()
                      + members(few.group(), world.rank())
                      + members(few.replicas(), world.rank())
                      + few.held().getFirst();
                });
    assertEquals(
        "expert8[0,0][0, 1][0, 4, 8, 12, 2, 6, 10, 14]0[0, 4, 8, 12][0, 2]0", groups.get(0));
    assertEquals(
        "expert8[0,1][6, 7][1, 5, 9, 13, 3, 7, 11, 15]5[3, 7, 11, 15][5, 7]1", groups.get(7));
  }

  /** The example of DeepSpeed's pull request 5626: 8 ranks, tensor degree 2, expert degree 4. */
  @Test
  void groupsAreThoseOfTheFormula() {
    List<String> groups =
        ThreadWorld.of(8)
            .run(
                world -> {
                  Ranks ranks =
                      new Ranks(new Topology(8, 4, 2, 2), world, Strategy.FLAT, Overlap.NONE);
                  Ranks.ExpertGroups experts = ranks.experts(4);
                  Ranks.ExpertGroups few = ranks.experts(2);
                  return ranks.tensor().name()
                      + members(ranks.tensor(), world.rank())
                      + members(ranks.data(), world.rank())
                      + members(experts.group(), world.rank())
                      + members(few.group(), world.rank())
                      + members(few.replicas(), world.rank())
                      + few.held().getFirst();
                });
    assertEquals("tensor[0][0, 1][0, 2, 4, 6][0, 2, 4, 6][0, 2][0, 4]0", groups.get(0));
    assertEquals("tensor[2][4, 5][1, 3, 5, 7][1, 3, 5, 7][5, 7][1, 5]0", groups.get(5));
    assertEquals("tensor[3][6, 7][1, 3, 5, 7][1, 3, 5, 7][5, 7][3, 7]1", groups.get(7));
  }

  @Test
  void tensorRanksThatHoldExpertsWholeAreReplicas() {
    List<String> replicas =
        ThreadWorld.of(8)
            .run(
                world -> {
                  Ranks ranks =
                      new Ranks(new Topology(8, 2, 2, 1), world, Strategy.FLAT, Overlap.NONE);
                  return members(ranks.experts(4).replicas(), world.rank());
                });
    assertEquals("[0, 1, 4, 5]", replicas.get(5));
    assertEquals("[2, 3, 6, 7]", replicas.get(2));
  }

  private static String members(Communicator group, int rank) {
    return Arrays.toString(group.allGather(rank));
  }

  @Test
  void aWorldOfAnotherSizeIsRefused() {
    assertEquals(
        "the topology is for 4 ranks, but the world has 1",
        assertThrows(
                IllegalArgumentException.class,
                () -> new Ranks(Topology.of(4), Ranks.alone().world(), Strategy.FLAT, Overlap.NONE))
            .getMessage());
  }
}
