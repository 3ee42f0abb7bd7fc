package panamoe.harness;

/** A word of a command line that is shown, as a shell takes it. */
public final class ShellWord {
  private ShellWord() {}

  /** The command that started this program, as it can be typed again in the same folder. */
  public static String launcher() {
    return quoted(System.getProperty("panamoe.launcher", "panamoe"));
  }

  /** The word, quoted where a shell would change it. */
  public static String quoted(String word) {
    return word.matches("[\\w@%+=:,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }
}
