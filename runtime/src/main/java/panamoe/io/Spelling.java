package panamoe.io;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/** Words that differ by a slip of the finger. */
public final class Spelling {
  private Spelling() {}

  /** The word most like this one; empty if more than a third of its letters differ. */
  public static Optional<String> nearest(String word, Collection<String> words) {
    return words.stream()
        .min(Comparator.comparingInt(each -> distance(word, each)))
        .filter(each -> 3 * distance(word, each) <= word.length());
  }

  /** Letters to insert, delete or replace: Levenshtein's distance. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j - 1], row[j]));
      }
    }
    return row[b.length()];
  }
}
