package panamoe.io;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/** Finds the word that a misspelt word stands for. */
public final class Spelling {
  private Spelling() {}

  /** The most similar word; empty if more than a third of the letters differ. */
  public static Optional<String> nearest(String word, Collection<String> words) {
    return words.stream()
        .min(Comparator.comparingInt(each -> distance(word, each)))
        .filter(each -> 3 * distance(word, each) <= word.length());
  }

  /** The end of an error message: {@code "; did you mean WORD?"}, or nothing. */
  public static String hint(String word, Collection<String> words) {
    return nearest(word, words).map(each -> "; did you mean " + each + "?").orElse("");
  }

  /** Letters to insert, delete, replace or swap with the next: optimal string alignment. */
  private static int distance(String a, String b) {
    int[] before = new int[b.length() + 1];
    int[] above = new int[b.length() + 1];
    for (int j = 0; j < above.length; j++) {
      above[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int[] row = new int[b.length() + 1];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int replaced = above[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        row[j] = Math.min(replaced, 1 + Math.min(above[j], row[j - 1]));
        if (i > 1
            && j > 1
            && a.charAt(i - 1) == b.charAt(j - 2)
            && a.charAt(i - 2) == b.charAt(j - 1)) {
          row[j] = Math.min(row[j], before[j - 2] + 1);
        }
      }
      before = above;
      above = row;
    }
    return above[b.length()];
  }
}
