package panamoe.data.regex;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Named sets of code points from this JDK's Unicode tables. */
public final class CodeSets {
  /** The names of the values of {@link Character#getType}. */
  private static final String[] NAMES = {
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Me", "Mc", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc",
    "Cf", null, "Co", "Cs", "Pd", "Ps", "Pe", "Pc", "Po", "Sm", "Sc", "Sk", "So", "Pi", "Pf"
  };

  /** Unicode's White_Space. */
  public static final CodeSet SPACE =
      CodeSet.anyOf(
          CodeSet.range('\t', '\r'),
          CodeSet.of(' '),
          CodeSet.of(0x85),
          CodeSet.of(0xa0),
          CodeSet.of(0x1680),
          CodeSet.range(0x2000, 0x200a),
          CodeSet.range(0x2028, 0x2029),
          CodeSet.of(0x202f),
          CodeSet.of(0x205f),
          CodeSet.of(0x3000));

  static final CodeSet DIGIT = category("Nd");

  /** Letters, marks, digits and connectors. */
  public static final CodeSet WORD =
      category("L").union(category("M")).union(DIGIT).union(category("Pc"));

  private CodeSets() {}

  /** The general category (L, Lu, ...) or script (Han, ...) of that name; null if there is none. */
  public static CodeSet property(String name) {
    CodeSet category = category(name);
    return category != null ? category : script(name);
  }

  /** The set with all case variants of its members. */
  static CodeSet anyCase(CodeSet set) {
    IntStream.Builder missing = IntStream.builder();
    for (int[] variants : Cases.VARIANTS) {
      if (IntStream.of(variants).anyMatch(set::contains)) {
        IntStream.of(variants).forEach(missing);
      }
    }
    return set.union(CodeSet.of(missing.build().sorted().toArray()));
  }

  private static CodeSet category(String name) {
    return Categories.SETS.get(name);
  }

  private static CodeSet script(String name) {
    try {
      return Scripts.SETS.getOrDefault(Character.UnicodeScript.forName(name), CodeSet.EMPTY);
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  /** Created when a pattern first uses a category. */
  private static final class Categories {
    static final Map<String, CodeSet> SETS =
        new HashMap<>(CodeSet.partition(point -> NAMES[Character.getType(point)]));

    static {
      List.copyOf(SETS.entrySet())
          .forEach(
              entry ->
                  SETS.merge(entry.getKey().substring(0, 1), entry.getValue(), CodeSet::union));
    }
  }

  /** Created when a pattern first uses a script. */
  private static final class Scripts {
    static final Map<Character.UnicodeScript, CodeSet> SETS =
        CodeSet.partition(Character.UnicodeScript::of);
  }

  /** Created when a pattern first ignores case. */
  private static final class Cases {
    static final List<int[]> VARIANTS = new ArrayList<>();

    static {
      Map<Integer, List<Integer>> byFolded = new HashMap<>();
      for (int point = 0; point < CodeSet.LIMIT; point++) {
        int folded = fold(point);
        if (folded != point) {
          byFolded.computeIfAbsent(folded, first -> new ArrayList<>(List.of(first))).add(point);
        }
      }
      byFolded
          .values()
          .forEach(points -> VARIANTS.add(points.stream().mapToInt(Integer::intValue).toArray()));
    }

    /** Unicode's simple case folding; Turkish dotted and dotless I stay distinct. */
    private static int fold(int point) {
      return point == 0x130 || point == 0x131
          ? point
          : Character.toLowerCase(Character.toUpperCase(point));
    }
  }
}
