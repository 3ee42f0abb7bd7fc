package panamoe.io;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * The folders below {@code panamoe} for a user's files, by the XDG Base Directory Specification.
 */
public enum UserFolder {
  /** Files that can be created again. */
  CACHE("XDG_CACHE_HOME", ".cache"),
  /** What a program remembers from one run to the next, such as a history. */
  STATE("XDG_STATE_HOME", ".local/state");

  private final String variable;
  private final String inHome;

  UserFolder(String variable, String inHome) {
    this.variable = variable;
    this.inHome = inHome;
  }

  /**
   * A path in the folder, which need not exist; empty if no variable gives the folder.
   *
   * @param environment variables of the process
   */
  public Optional<Path> path(Map<String, String> environment, String name) {
    for (String[] place : new String[][] {{variable, "panamoe"}, {"HOME", inHome + "/panamoe"}}) {
      String value = environment.get(place[0]);
      if (value != null && !value.isBlank()) {
        return Optional.of(Path.of(value).resolve(place[1]).resolve(name).toAbsolutePath());
      }
    }
    return Optional.empty();
  }
}
