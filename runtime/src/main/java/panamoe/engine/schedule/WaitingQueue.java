package panamoe.engine.schedule;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Sequences that wait to run: the highest priority first; within a priority users take turns, and a
 * user's sequences come in order of arrival. Used by the engine's thread.
 */
final class WaitingQueue {
  private final TreeMap<Integer, LinkedHashMap<String, Deque<Sequence>>> lines =
      new TreeMap<>(Comparator.reverseOrder());

  void add(Sequence sequence) {
    lineOf(sequence)
        .computeIfAbsent(sequence.request.terms().user(), _ -> new ArrayDeque<>())
        .addLast(sequence);
  }

  /** Adds a preempted sequence at the head of its priority. */
  void addFirst(Sequence sequence) {
    LinkedHashMap<String, Deque<Sequence>> line = lineOf(sequence);
    String user = sequence.request.terms().user();
    Deque<Sequence> own = line.getOrDefault(user, new ArrayDeque<>());
    own.addFirst(sequence);
    line.putFirst(user, own);
  }

  private LinkedHashMap<String, Deque<Sequence>> lineOf(Sequence sequence) {
    return lines.computeIfAbsent(sequence.request.terms().priority(), _ -> new LinkedHashMap<>());
  }

  /** The next sequence; null if the queue is empty. */
  Sequence next() {
    return lines.isEmpty()
        ? null
        : lines.firstEntry().getValue().firstEntry().getValue().peekFirst();
  }

  /** Removes a sequence; if it was the next one, another user is next. */
  void remove(Sequence sequence) {
    LinkedHashMap<String, Deque<Sequence>> line = lineOf(sequence);
    String user = sequence.request.terms().user();
    Deque<Sequence> own = line.get(user);
    boolean turn = own.peekFirst() == sequence;
    own.remove(sequence);
    if (own.isEmpty()) {
      line.remove(user);
    } else if (turn) {
      line.putLast(user, own);
    }
    if (line.isEmpty()) {
      lines.remove(sequence.request.terms().priority());
    }
  }

  Collection<Sequence> all() {
    List<Sequence> all = new ArrayList<>();
    for (Map<String, Deque<Sequence>> line : lines.values()) {
      line.values().forEach(all::addAll);
    }
    return all;
  }

  int size() {
    return lines.values().stream()
        .flatMap(line -> line.values().stream())
        .mapToInt(Deque::size)
        .sum();
  }
}
