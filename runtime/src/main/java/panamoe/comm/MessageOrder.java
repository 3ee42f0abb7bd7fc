package panamoe.comm;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The order in which a member of a group sends to the others: node by node, starting after its own,
 * and within a node by local rank, starting at its own. If all nodes have equally many ranks, no
 * two members send to the same one at a time.
 */
final class MessageOrder {
  private MessageOrder() {}

  /**
   * @param nodes of the members
   * @return for each member the other members, those of its own node first
   */
  static int[][] of(int[] nodes) {
    int[] names = Arrays.stream(nodes).distinct().sorted().toArray();
    int[][] onNode = new int[names.length][];
    for (int node = 0; node < names.length; node++) {
      int name = names[node];
      onNode[node] = IntStream.range(0, nodes.length).filter(i -> nodes[i] == name).toArray();
    }
    int most = Arrays.stream(onNode).mapToInt(members -> members.length).max().orElseThrow();
    int[][] order = new int[nodes.length][nodes.length - 1];
    for (int node = 0; node < names.length; node++) {
      for (int local = 0; local < onNode[node].length; local++) {
        int member = onNode[node][local];
        int next = 0;
        for (int step = 0; step < names.length * most; step++) {
          int[] others = onNode[(node + step / most) % names.length];
          int other = (local + step) % most;
          if (other < others.length && others[other] != member) {
            order[member][next++] = others[other];
          }
        }
      }
    }
    return order;
  }
}
