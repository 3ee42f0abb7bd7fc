package panamoe.data.regex;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** Code points that no set of a pattern tells apart are one class: an automaton needs a way for each class alone. */
final class CodeClasses {
  private static final int PAGE = 256;

  private final short[][] pages = new short[CodeSet.LIMIT / PAGE][];
  /** For each class the sets that hold it. */
  private final BitSet[] members;

  CodeClasses(List<CodeSet> sets) {
    TreeSet<Integer> cuts = new TreeSet<>(List.of(0));
    sets.forEach(set -> Arrays.stream(set.changes()).filter(point -> point < CodeSet.LIMIT).forEach(cuts::add));
    Map<BitSet, Integer> classes = new HashMap<>();
    short[] classOf = new short[CodeSet.LIMIT];
    for (int cut : cuts) {
      BitSet holding = new BitSet();
      for (int set = 0; set < sets.size(); set++) {
        holding.set(set, sets.get(set).contains(cut));
      }
      int number = classes.computeIfAbsent(holding, one -> classes.size());
      Integer end = cuts.higher(cut);
      Arrays.fill(classOf, cut, end == null ? CodeSet.LIMIT : end, (short) number);
    }
    members = new BitSet[classes.size()];
    classes.forEach((holding, number) -> members[number] = holding);
    for (int page = 0; page < pages.length; page++) {
      short[] content = Arrays.copyOfRange(classOf, page * PAGE, (page + 1) * PAGE);
      pages[page] = page > 0 && Arrays.equals(content, pages[page - 1]) ? pages[page - 1] : content;
    }
  }

  int count() {
    return members.length;
  }

  int of(int codePoint) {
    return pages[codePoint / PAGE][codePoint % PAGE] & 0xffff;
  }

  boolean contains(int set, int codeClass) {
    return members[codeClass].get(set);
  }
}
