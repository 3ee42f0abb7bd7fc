package panamoe.data.regex;

/** White space and word characters as patterns define them. */
public final class CodePoints {
  private CodePoints() {}

  /** Whether {@code \s} matches it. */
  public static boolean isSpace(int codePoint) {
    return CodeSets.SPACE.contains(codePoint);
  }

  /** Whether {@code \w} matches it. */
  public static boolean isWord(int codePoint) {
    return CodeSets.WORD.contains(codePoint);
  }
}
