package panamoe.open.hub;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import panamoe.io.Require;

/** The proxies that {@code https_proxy}, {@code http_proxy} and {@code no_proxy} name. */
final class ProxyVariables extends ProxySelector {
  private final Map<String, String> environment;

  private ProxyVariables(Map<String, String> environment) {
    this.environment = environment;
  }

  /** The proxies of the JVM's properties if it has some, else of the environment. */
  static ProxySelector orOfJvm(Map<String, String> environment) {
    boolean ofJvm =
        Stream.of("https.proxyHost", "http.proxyHost", "socksProxyHost")
            .anyMatch(name -> System.getProperty(name) != null);
    return ofJvm ? ProxySelector.getDefault() : new ProxyVariables(environment);
  }

  @Override
  public List<Proxy> select(URI uri) {
    return text(uri.getScheme() + "_proxy")
        .or(() -> text("all_proxy"))
        .filter(_ -> !excepted(uri.getHost()))
        .map(ProxyVariables::proxy)
        .map(List::of)
        .orElse(List.of(Proxy.NO_PROXY));
  }

  private static Proxy proxy(String text) {
    URI uri = URI.create(text.contains("://") ? text : "http://" + text);
    Require.that(
        uri.getHost() != null && "http".equals(uri.getScheme()) && uri.getUserInfo() == null,
        "the proxy of the environment is not http://HOST:PORT; name it by the JVM's"
            + " https.proxyHost and https.proxyPort");
    int port = uri.getPort() < 0 ? 80 : uri.getPort();
    return new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved(uri.getHost(), port));
  }

  private boolean excepted(String host) {
    return text("no_proxy").stream()
        .flatMap(all -> Stream.of(all.split("[\\s,]+")))
        .map(name -> name.replaceFirst("^\\*?\\.", ""))
        .anyMatch(name -> name.equals("*") || host.equals(name) || host.endsWith("." + name));
  }

  private Optional<String> text(String name) {
    return Stream.of(name, name.toUpperCase(Locale.ROOT))
        .map(environment::get)
        .filter(Objects::nonNull)
        .map(String::strip)
        .filter(text -> !text.isEmpty())
        .findFirst();
  }

  @Override
  public void connectFailed(URI uri, SocketAddress address, IOException failure) {
    // the request fails, and says so
  }
}
