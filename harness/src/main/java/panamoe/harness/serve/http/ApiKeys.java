package panamoe.harness.serve.http;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.harness.UserText;
import panamoe.io.Require;
import panamoe.io.Sha256;

/** The keys of which a client needs one, or none. Thread-safe. */
public record ApiKeys(List<ApiKey> keys) {
  private static final String BEARER = "Bearer ";
  private static final String HASH = "sha256:";
  private static final List<String> SETTINGS =
      List.of("name", "priority", "concurrent", "requests-per-minute", "tokens-per-minute");
  private static final int MOST = 1_000_000_000;
  private static final int MOST_PRIORITY = 1000;

  /** No key is needed. */
  public static final ApiKeys NONE = new ApiKeys(List.of());

  /**
   * Reads a file with one key per line, or {@code sha256:} and the hash of one, and its settings,
   * without empty lines and those that begin with #.
   *
   * @throws IllegalArgumentException if it has no key, one twice, or an unknown setting; the
   *     message has no part of a key
   */
  public static ApiKeys read(Path file) throws IOException {
    List<ApiKey> keys = new ArrayList<>();
    List<Integer> places = new ArrayList<>();
    List<String> lines = UserText.of(file).lines().map(String::strip).toList();
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).isEmpty() || lines.get(i).startsWith("#")) {
        continue;
      }
      String place = file + ", line " + (i + 1);
      ApiKey key = key(place, lines.get(i).split("\\s+"), "key " + (keys.size() + 1));
      for (int other = 0; other < keys.size(); other++) {
        Require.that(
            !Arrays.equals(key.digest(), keys.get(other).digest()),
            "%s has the key of line %s again: remove one of them",
            place,
            places.get(other));
        Require.that(
            !key.name().equals(keys.get(other).name()),
            "%s has the name of line %s again: give it another one",
            place,
            places.get(other));
      }
      keys.add(key);
      places.add(i + 1);
    }
    Require.that(!keys.isEmpty(), "%s has no key, expected one a line", file);
    return new ApiKeys(List.copyOf(keys));
  }

  private static ApiKey key(String place, String[] words, String usualName) {
    Map<String, String> settings = new LinkedHashMap<>();
    for (String word : Arrays.asList(words).subList(1, words.length)) {
      int end = word.indexOf('=');
      Require.that(
          end > 0 && SETTINGS.contains(word.substring(0, end)),
          "%s has a word after its key that is no setting, expected %s=...",
          place,
          String.join("=..., ", SETTINGS));
      settings.put(word.substring(0, end), word.substring(end + 1));
    }
    String name = settings.getOrDefault("name", usualName);
    Require.that(
        name.equals(usualName) || name.matches("[\\w.@-]{1,64}"),
        "%s: name is not of up to 64 letters, digits and . _ @ -",
        place);
    return new ApiKey(
        name,
        digest(place, words[0]),
        number(place, settings, "priority", -MOST_PRIORITY, MOST_PRIORITY, ApiKey.ANY),
        new Quota(
            number(place, settings, "concurrent", 1, MOST, MOST),
            number(place, settings, "requests-per-minute", 1, MOST, 0),
            number(place, settings, "tokens-per-minute", 1, MOST, 0)));
  }

  private static int number(
      String place, Map<String, String> settings, String name, int least, int most, int usual) {
    String given = settings.get(name);
    if (given == null) {
      return usual;
    }
    boolean fits = given.matches("-?[0-9]{1,10}");
    long value = fits ? Long.parseLong(given) : 0;
    Require.that(
        fits && value >= least && value <= most,
        "%s: %s is %s, expected %s to %s",
        place,
        name,
        given,
        least,
        most);
    return (int) value;
  }

  private static byte[] digest(String place, String key) {
    if (!key.startsWith(HASH)) {
      return digest(key);
    }
    String hash = key.substring(HASH.length());
    Require.that(
        hash.matches("\\p{XDigit}{64}"), "%s: after %s come 64 hexadecimal digits", place, HASH);
    return HexFormat.of().parseHex(hash);
  }

  /**
   * The key of a request. Takes the same time for a wrong key as for a right one.
   *
   * @param authorization the header of OpenAI's clients; null if absent
   * @param apiKey the header of Anthropic's clients; null if absent
   * @throws ApiError 401 if a key is needed and this is not a key
   */
  ApiKey of(String authorization, String apiKey) {
    if (keys.isEmpty()) {
      return ApiKey.NONE;
    }
    boolean bearer =
        authorization != null && authorization.regionMatches(true, 0, BEARER, 0, BEARER.length());
    String given = bearer ? authorization.substring(BEARER.length()) : apiKey;
    byte[] asked = digest(given == null ? "" : given.strip());
    ApiKey found = null;
    for (ApiKey key : keys) {
      if (MessageDigest.isEqual(asked, key.digest())) {
        found = key;
      }
    }
    if (found == null) {
      throw ApiError.unauthorized();
    }
    return found;
  }

  private static byte[] digest(String key) {
    return Sha256.digest().digest(key.getBytes(StandardCharsets.UTF_8));
  }
}
