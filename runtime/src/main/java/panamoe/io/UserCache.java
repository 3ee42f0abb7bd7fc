package panamoe.io;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** Where this program keeps files of a user that can be made again. */
public final class UserCache {
  private UserCache() {}

  /**
   * A folder below {@code panamoe} in the user's cache folder, which need not exist; empty where no
   * variable says where that is.
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
