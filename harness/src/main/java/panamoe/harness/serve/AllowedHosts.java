package panamoe.harness.serve;

import java.net.InetAddress;
import java.util.List;
import java.util.Locale;
import org.eclipse.jetty.util.HostPort;

/**
 * The names by which a server without keys may be asked. Without this check a page of another site
 * could use the server: its own name may lead to this machine (DNS rebinding). Thread-safe.
 */
record AllowedHosts(List<String> names) {
  /**
   * @param names allowed beside loopback names and addresses, and the address that was asked; also
   *     as addresses of a browser, http://NAME:PORT/
   */
  AllowedHosts {
    names = names.stream().map(AllowedHosts::plain).toList();
  }

  /** A name in lower case, without what may stand around it: scheme, root dot, port, brackets. */
  private static String plain(String name) {
    return name.toLowerCase(Locale.ROOT)
        .replaceFirst("^https?://", "")
        .replaceFirst("^([^:/]+?)\\.?(:\\d+)?/?$", "$1")
        .replaceAll("[\\[\\]]", "");
  }

  /** Whether a request can have this name; there are no patterns. */
  static boolean isName(String name) {
    return plain(name).matches("[\\p{Alnum}._-]+|[\\p{XDigit}:.]+");
  }

  /**
   * Refuses a request that a page of another site may have made.
   *
   * @param host the header Host; null without one: every browser sends it
   * @param bound the address at which the request arrived
   */
  void require(String host, InetAddress bound) throws ApiError {
    if (host == null) {
      return;
    }
    String name = plain(new HostPort(host).getHost());
    if (!isThisMachine(name, bound) && !names.contains(name)) {
      throw ApiError.foreignHost(name);
    }
  }

  private static boolean isThisMachine(String name, InetAddress bound) {
    if (name.equals("localhost") || name.endsWith(".localhost")) {
      return true;
    }
    try {
      InetAddress address = InetAddress.ofLiteral(name);
      return address.isLoopbackAddress() || address.equals(bound);
    } catch (IllegalArgumentException _) {
      return false; // a name
    }
  }

  /** Refuses a request of a page that, by its Origin, is of another site than the one it asks. */
  static void requireOwnPage(String origin, String host) throws ApiError {
    if (origin != null && (host == null || !origin.endsWith("://" + host))) {
      throw ApiError.foreign(origin);
    }
  }
}
