package panamoe.data.regex;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Equivalence classes of code points: two are equivalent if each set of the pattern holds both or
 * neither. An automaton needs one transition per class.
 */
final class CodeClasses {
  private static final int PAGE = 256;

  /** The class of each code point, in pages; a page with a single class is shared. */
  private final char[][] pages = new char[CodeSet.LIMIT / PAGE][];

  /** For each class, the sets that contain it. */
  private final BitSet[] members;

  CodeClasses(List<CodeSet> sets) {
    int[] cuts =
        IntStream.concat(
                IntStream.of(0), sets.stream().flatMapToInt(set -> Arrays.stream(set.changes())))
            .filter(point -> point < CodeSet.LIMIT)
            .sorted()
            .distinct()
            .toArray();
    char[] classes = new char[cuts.length];
    Map<BitSet, Integer> numbers = new HashMap<>();
    for (int i = 0; i < cuts.length; i++) {
      BitSet holding = new BitSet();
      for (int set = 0; set < sets.size(); set++) {
        holding.set(set, sets.get(set).contains(cuts[i]));
      }
      int next = numbers.size();
      classes[i] = (char) (int) numbers.computeIfAbsent(holding, one -> next);
    }
    members = new BitSet[numbers.size()];
    numbers.forEach((holding, number) -> members[number] = holding);
    fillPages(cuts, classes);
  }

  private void fillPages(int[] cuts, char[] classes) {
    char[][] uniform = new char[members.length][];
    int cut = 0;
    for (int page = 0; page < pages.length; page++) {
      int begin = page * PAGE;
      int end = begin + PAGE;
      while (cut + 1 < cuts.length && cuts[cut + 1] <= begin) {
        cut++;
      }
      if (cut + 1 == cuts.length || cuts[cut + 1] >= end) {
        if (uniform[classes[cut]] == null) {
          uniform[classes[cut]] = new char[PAGE];
          Arrays.fill(uniform[classes[cut]], classes[cut]);
        }
        pages[page] = uniform[classes[cut]];
      } else {
        pages[page] = new char[PAGE];
        for (int point = begin; point < end; point++) {
          cut += cut + 1 < cuts.length && cuts[cut + 1] == point ? 1 : 0;
          pages[page][point - begin] = classes[cut];
        }
      }
    }
  }

  int count() {
    return members.length;
  }

  int of(int codePoint) {
    return pages[codePoint / PAGE][codePoint % PAGE];
  }

  boolean contains(int set, int codeClass) {
    return members[codeClass].get(set);
  }
}
