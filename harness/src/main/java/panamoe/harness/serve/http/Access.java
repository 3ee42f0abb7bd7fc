package panamoe.harness.serve.http;

import java.net.URI;
import java.util.Set;

/**
 * Who may use a server. Thread-safe.
 *
 * @param hosts accepted names; with keys, any
 * @param origins of other sites whose pages may use it, as browsers send them
 */
public record Access(ApiKeys keys, AllowedHosts hosts, Set<String> origins) {
  /** Whether it is an origin as browsers send it: a scheme and a host in lower case. */
  public static boolean isOrigin(String text) {
    try {
      URI uri = URI.create(text);
      return uri.getHost() != null
          && text.matches("https?://[^/?#@\\p{Upper}]+")
          && uri.getPort() != (uri.getScheme().equals("https") ? 443 : 80);
    } catch (IllegalArgumentException _) {
      return false;
    }
  }

  /**
   * Checks a request before its body is read.
   *
   * @param probe whether it is an orchestrator's, which may use any name
   * @param keyless whether its path needs no key
   * @return its key
   * @throws ApiError 401 or 403
   */
  public ApiKey of(HttpExchange call, boolean probe, boolean keyless) {
    if (keys != ApiKeys.NONE) {
      return keyless
          ? ApiKey.NONE
          : keys.of(call.header("Authorization"), call.header("x-api-key"));
    }
    String host = call.header("Host");
    String origin = call.header("Origin");
    if (origin != null && !origins.contains(origin)) {
      AllowedHosts.requireOwnPage(origin, host);
    }
    if (!probe) {
      hosts.require(host, call.bound());
    }
    return ApiKey.NONE;
  }
}
