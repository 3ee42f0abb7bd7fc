package panamoe.io;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** The folder for a user's files that can be created again. */
public final class UserCache {
  private UserCache() {}

  /**
   * A folder below {@code panamoe} in the user's cache folder, which need not exist; empty if no
   * variable gives that folder.
   *
   * @param environment variables of the process
   */
  public static Optional<Path> folder(Map<String, String> environment, String name) {
    for (String[] place :
        new String[][] {{"XDG_CACHE_HOME", "panamoe"}, {"HOME", ".cache/panamoe"}}) {
      String value = environment.get(place[0]);
      if (value != null && !value.isBlank()) {
        return Optional.of(Path.of(value).resolve(place[1]).resolve(name).toAbsolutePath());
      }
    }
    return Optional.empty();
  }
}
