package panamoe.open.hub;

import java.io.IOException;
import java.net.ProxySelector;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.io.FileErrors;
import panamoe.io.Require;

/**
 * Where models are fetched from, and where to.
 *
 * @param endpoint of the hub
 * @param cache the folder with {@code models--OWNER--REPO}
 * @param token of an account; null for none
 * @param proxies of requests
 * @param offline the network is not used
 */
public record HubSettings(
    URI endpoint, Path cache, String token, ProxySelector proxies, boolean offline) {
  private static final String USUAL = "https://huggingface.co";
  private static final Set<String> YES = Set.of("1", "on", "yes", "true");

  /**
   * The settings by the variables that Hugging Face's programs read.
   *
   * @throws IllegalArgumentException if a value cannot be used
   */
  public static HubSettings of(Map<String, String> environment) {
    Variables variables = new Variables(environment);
    Path home =
        variables
            .path("HF_HOME")
            .orElseGet(
                () ->
                    variables
                        .path("XDG_CACHE_HOME")
                        .orElse(variables.user().resolve(".cache"))
                        .resolve("huggingface"));
    Path cache =
        Stream.of("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
            .flatMap(name -> variables.path(name).stream())
            .findFirst()
            .orElse(home.resolve("hub"));
    return new HubSettings(
        variables.endpoint(),
        cache.toAbsolutePath().normalize(),
        variables.token(variables.path("HF_TOKEN_PATH").orElse(home.resolve("token"))),
        ProxyVariables.orOfJvm(environment),
        variables.yes("HF_HUB_OFFLINE") || variables.yes("TRANSFORMERS_OFFLINE"));
  }

  /** These settings without the network. */
  public HubSettings withoutNetwork() {
    return new HubSettings(endpoint, cache, token, proxies, true);
  }

  /** The host that models are fetched from, for messages. */
  String host() {
    return endpoint.getAuthority();
  }

  /** Leaves the token out. */
  @Override
  public String toString() {
    return endpoint + " in " + cache;
  }

  private record Variables(Map<String, String> all) {
    Optional<String> text(String name) {
      return Optional.ofNullable(all.get(name)).map(String::strip).filter(text -> !text.isEmpty());
    }

    boolean yes(String name) {
      return text(name).filter(text -> YES.contains(text.toLowerCase(Locale.ROOT))).isPresent();
    }

    Path user() {
      return Path.of(text("HOME").orElse(System.getProperty("user.home")));
    }

    Optional<Path> path(String name) {
      return text(name)
          .map(
              text ->
                  text.equals("~") || text.startsWith("~/")
                      ? user().resolve(text.substring(Math.min(2, text.length())))
                      : Path.of(text));
    }

    URI endpoint() {
      String text = text("HF_ENDPOINT").orElse(USUAL).replaceFirst("/+$", "");
      try {
        URI endpoint = URI.create(text);
        if (endpoint.getHost() != null && endpoint.getScheme().matches("https?")) {
          return endpoint;
        }
      } catch (IllegalArgumentException _) {
        // refused below
      }
      throw Require.refusal("HF_ENDPOINT is '%s', expected a URL such as %s", text, USUAL);
    }

    String token(Path file) {
      String token =
          text("HF_TOKEN").or(() -> text("HUGGING_FACE_HUB_TOKEN")).orElseGet(() -> read(file));
      Require.that(
          token == null || token.matches("[!-~]+"),
          "the token of HF_TOKEN or %s has a character that no token has",
          file);
      return token;
    }

    private static String read(Path file) {
      if (!Files.isRegularFile(file)) {
        return null;
      }
      try {
        String token = Files.readString(file).strip();
        return token.isEmpty() ? null : token;
      } catch (IOException e) {
        throw Require.refusal("the token in %s cannot be read: %s", file, FileErrors.reason(e));
      }
    }
  }
}
