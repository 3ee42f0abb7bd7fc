package panamoe.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Compares a written answer with the right ones, as the scripts of TriviaQA and SQuAD do: in lower
 * case, with blanks for underscores and punctuation, without articles, and with single blanks. The
 * best of the right answers counts.
 */
final class WrittenAnswer {
  /** ASCII's punctuation, and four more quotes. */
  private static final Pattern PUNCTUATION =
      Pattern.compile("[!-/:-@\\[-`{-~\\u2018\\u2019\\u00b4]");

  private static final Pattern ARTICLES =
      Pattern.compile("\\b(a|an|the)\\b", Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern BLANKS = Pattern.compile("\\s+", Pattern.UNICODE_CHARACTER_CLASS);

  private WrittenAnswer() {}

  static String normalized(String answer) {
    String words = PUNCTUATION.matcher(answer.toLowerCase(Locale.ROOT)).replaceAll(" ");
    return BLANKS.matcher(ARTICLES.matcher(words).replaceAll(" ")).replaceAll(" ").strip();
  }

  static boolean matches(String answer, List<String> right) {
    String written = normalized(answer);
    return right.stream().anyMatch(each -> normalized(each).equals(written));
  }

  /** The harmonic mean of precision and recall of words, 0 to 1. */
  static double f1(String answer, List<String> right) {
    return right.stream().mapToDouble(each -> f1(answer, each)).max().orElse(0);
  }

  private static double f1(String answer, String right) {
    List<String> written = words(answer);
    List<String> wanted = words(right);
    List<String> missing = new ArrayList<>(wanted);
    long common = written.stream().filter(missing::remove).count();
    return common == 0 ? 0 : 2.0 * common / (written.size() + wanted.size());
  }

  private static List<String> words(String answer) {
    String normalized = normalized(answer);
    return normalized.isEmpty() ? List.of() : Arrays.asList(normalized.split(" "));
  }
}
