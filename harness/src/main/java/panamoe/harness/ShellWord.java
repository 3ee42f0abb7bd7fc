package panamoe.harness;

/** Quotes words of command lines in messages. */
public final class ShellWord {
  private ShellWord() {}

  /** The command that started this program, to type again in the same folder. */
  public static String launcher() {
    return quoted(System.getProperty("panamoe.launcher", "panamoe"));
  }

  /** The word, quoted if a shell would change it. */
  public static String quoted(String word) {
    return word.matches("[\\w@%+=:,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }
}
