package panamoe.harness.serve.http;

import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.internal.HttpConnection;

/**
 * Counts headers while they arrive, because each takes far more memory than its bytes. Jetty only
 * limits bytes, and offers no public class to extend for this.
 */
final class LimitedHeaders extends HttpConnectionFactory {
  private static final int HEADERS = 100;

  LimitedHeaders(HttpConfiguration configuration) {
    super(configuration);
  }

  @Override
  public Connection newConnection(Connector connector, EndPoint endPoint) {
    return configure(
        new HttpConnection(getHttpConfiguration(), connector, endPoint) {
          @Override
          protected RequestHandler newRequestHandler() {
            return new RequestHandler() {
              private int headers;

              @Override
              public void startRequest(String method, String uri, HttpVersion version) {
                headers = 0;
                super.startRequest(method, uri, version);
              }

              @Override
              public void parsedHeader(HttpField field) {
                if (++headers > HEADERS) {
                  throw new HttpException.RuntimeException(
                      HttpStatus.REQUEST_HEADER_FIELDS_TOO_LARGE_431,
                      "it has more than " + HEADERS + " headers");
                }
                super.parsedHeader(field);
              }
            };
          }
        },
        connector,
        endPoint);
  }
}
