package panamoe.parallel;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.zip.CRC32C;
import panamoe.comm.CollectiveMismatch;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;

/**
 * Compares values that must be equal on all ranks, such as settings: ranks with different settings
 * would silently compute a wrong result. A comparison costs an all-gather of two numbers.
 */
public final class RankConsistency {
  /** Limit of the differences, and of the kinds of ranks, in a message. */
  private static final int QUOTED = 4;

  private static final String SEPARATOR = "\0";

  private RankConsistency() {}

  /**
   * Compares named values. Collective over the group.
   *
   * @param world the message numbers ranks in this group
   * @param mine this rank's values by name; not called in a group of one
   * @throws CommunicationException on every rank of the world, if a member's values differ from the
   *     majority's, or in a tie from the first member's; names the ranks and the values
   */
  public static void require(
      Communicator world, Communicator group, Supplier<Map<String, String>> mine) {
    if (group.size() == 1) {
      return;
    }
    byte[] values = bytes(new TreeMap<>(mine.get()));
    CRC32C digest = new CRC32C();
    digest.update(values);
    long[] gathered = group.allGather(digest.getValue(), world.rank());
    Map<Long, List<Integer>> members = new LinkedHashMap<>(); // by digest, in order of members
    for (int member = 0; member < group.size(); member++) {
      members.computeIfAbsent(gathered[2 * member], _ -> new ArrayList<>()).add(member);
    }
    if (members.size() > 1) {
      throw world.mismatch(sentence(group, gathered, values, List.copyOf(members.values())));
    }
  }

  /**
   * @param gathered digest and rank of each member
   * @param kinds members with the same values
   */
  private static String sentence(
      Communicator group, long[] gathered, byte[] mine, List<List<Integer>> kinds) {
    List<Integer> most = kinds.getFirst();
    for (List<Integer> kind : kinds) {
      most = kind.size() > most.size() ? kind : most;
    }
    Map<String, String> expected = values(group.broadcast(mine, most.getFirst()));
    boolean two = kinds.size() == 2 && most.size() > 1;
    String others = two ? "the others have" : have(gathered, most);
    List<String> clauses = new ArrayList<>();
    for (List<Integer> kind : kinds) {
      if (kind != most && clauses.size() < QUOTED) {
        Map<String, String> given = values(group.broadcast(mine, kind.getFirst()));
        clauses.add(have(gathered, kind) + difference(given, expected, others));
      }
    }
    int more = kinds.size() - 1 - clauses.size();
    return String.join("; ", clauses) + (more > 0 ? "; " + more + " more differ" : "");
  }

  private static String have(long[] gathered, List<Integer> members) {
    List<Integer> ranks =
        members.stream().map(member -> Math.toIntExact(gathered[2 * member + 1])).toList();
    return CollectiveMismatch.words(ranks) + (ranks.size() == 1 ? " has" : " have");
  }

  /** " inner 512 where the others have 256". */
  private static String difference(
      Map<String, String> given, Map<String, String> expected, String others) {
    Set<String> names = new TreeSet<>(given.keySet());
    names.addAll(expected.keySet());
    names.removeIf(name -> Objects.equals(given.get(name), expected.get(name)));
    return names.stream()
        .limit(QUOTED)
        .map(
            name ->
                String.join(
                    " ", "", name, value(given, name), "where", others, value(expected, name)))
        .collect(Collectors.joining(",", "", names.size() > QUOTED ? ", and more" : ""));
  }

  private static String value(Map<String, String> values, String name) {
    return values.getOrDefault(name, "nothing");
  }

  private static byte[] bytes(Map<String, String> values) {
    return values.entrySet().stream()
        .map(each -> each.getKey() + SEPARATOR + each.getValue())
        .collect(Collectors.joining(SEPARATOR))
        .getBytes(UTF_8);
  }

  private static Map<String, String> values(byte[] bytes) {
    String[] parts = new String(bytes, UTF_8).split(SEPARATOR, -1);
    Map<String, String> values = new LinkedHashMap<>();
    for (int i = 0; i + 1 < parts.length; i += 2) {
      values.put(parts[i], parts[i + 1]);
    }
    return values;
  }
}
