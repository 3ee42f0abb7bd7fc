package panamoe.comm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import panamoe.io.Words;

/** The error message when a group's members make collective calls that do not match. */
public final class CollectiveMismatch {
  private CollectiveMismatch() {}

  /**
   * Compares the calls of all members of a group.
   *
   * @param ranks of the members in the world, for the message
   * @return a sentence that names the ranks which differ; null if all calls match
   */
  static String among(String group, int[] ranks, CollectiveCall[] calls) {
    long digest = calls[0].digest();
    for (CollectiveCall call : calls) {
      if (call.digest() != digest) {
        return ofCalls(
            group,
            ranks,
            Arrays.stream(calls).map(CollectiveCall::describe).toArray(String[]::new));
      }
    }
    if (calls[0].collective() == Collective.ALL_TO_ALL) {
      for (int from = 0; from < calls.length; from++) {
        for (int to = 0; to < calls.length; to++) {
          if (calls[from].sizes()[to] != calls[to].expected()[from]) {
            return ofRows(
                group,
                calls[from].location(),
                ranks[from],
                calls[from].sizes()[to],
                ranks[to],
                calls[to].expected()[from]);
          }
        }
      }
    }
    return null;
  }

  /** The message for a pair of an all-to-all whose rows differ. Ranks are numbered in the world. */
  public static String ofRows(
      String group, String location, int from, long sent, int to, long expected) {
    return Words.of(
        "%s: rank %s sends %s rows to rank %s, which expects %s",
        group + (location.isEmpty() ? "" : " at " + location), from, sent, to, expected);
  }

  /**
   * The message for calls that do not match: it names the minority and what the majority called.
   *
   * @param descriptions of the members' calls, not all equal
   */
  public static String ofCalls(String group, int[] ranks, String[] descriptions) {
    Map<String, List<Integer>> callers = new LinkedHashMap<>();
    for (int i = 0; i < ranks.length; i++) {
      callers.computeIfAbsent(descriptions[i], words -> new ArrayList<>()).add(ranks[i]);
    }
    return callers.entrySet().stream()
        .sorted((a, b) -> a.getValue().size() - b.getValue().size())
        .map(entry -> words(entry.getValue()) + " called " + entry.getKey())
        .collect(Collectors.joining(", but ", group + ": ", ""));
  }

  /** "rank 3", "ranks 0, 1, 3". */
  public static String words(List<Integer> ranks) {
    return (ranks.size() == 1 ? "rank " : "ranks ")
        + ranks.stream().map(String::valueOf).collect(Collectors.joining(", "));
  }
}
