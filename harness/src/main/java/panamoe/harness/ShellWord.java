package panamoe.harness;

/** A word of a command line that is shown, as a shell takes it. */
public final class ShellWord {
  private ShellWord() {}

  /** The word, quoted where a shell would change it. */
  public static String quoted(String word) {
    return word.matches("[\\w@%+=:,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }
}
