package panamoe.harness.serve.http;

import java.net.InetAddress;
import java.util.List;
import java.util.Locale;
import org.eclipse.jetty.util.HostPort;

/**
 * The host names accepted by a server without keys. Without this check a page of another site could
 * use the server, because its name may resolve to this machine (DNS rebinding). Thread-safe.
 */
public record AllowedHosts(List<String> names) {
  /**
   * @param names allowed in addition to loopback names and the address of the connection; also as a
   *     browser's URL, http://NAME:PORT/
   */
  public AllowedHosts {
    names = names.stream().map(AllowedHosts::plain).toList();
  }

  /** A name in lower case, without scheme, root dot, port and brackets. */
  private static String plain(String name) {
    return name.toLowerCase(Locale.ROOT)
        .replaceFirst("^https?://", "")
        .replaceFirst("^([^:/]+?)\\.?(:\\d+)?/?$", "$1")
        .replaceAll("[\\[\\]]", "");
  }

  /** Whether it can be a host name; patterns are not supported. */
  public static boolean isName(String name) {
    return plain(name).matches("[\\p{Alnum}._-]+|[\\p{XDigit}:.]+");
  }

  /**
   * Refuses a request that a page of another site may have sent.
   *
   * @param host the header Host; null without it: every browser sends it
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

  /** Refuses a request of a page whose Origin is another site. */
  static void requireOwnPage(String origin, String host) throws ApiError {
    if (origin != null && (host == null || !origin.endsWith("://" + host))) {
      throw ApiError.foreign(origin);
    }
  }
}
