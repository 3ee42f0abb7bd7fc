package panamoe.harness.serve.completion;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import panamoe.harness.serve.http.Json;

/**
 * A server-sent event, or a line of JSON.
 *
 * @param name null for none, empty for a line
 * @param data a record, sent as JSON; or text without line feeds, sent as it is
 */
public record ServerEvent(String name, Object data) {
  public static ServerEvent of(Object data) {
    return new ServerEvent(null, data);
  }

  public static ServerEvent line(Object data) {
    return new ServerEvent("", data);
  }

  /** The event as it is sent, with the empty line that ends it. */
  byte[] bytes() {
    ByteArrayOutputStream event = new ByteArrayOutputStream();
    if ("".equals(name)) {
      event.writeBytes(Json.bytes(data));
      event.write('\n');
      return event.toByteArray();
    }
    String start = name == null ? "data: " : "event: " + name + "\ndata: ";
    event.writeBytes(start.getBytes(StandardCharsets.UTF_8));
    event.writeBytes(
        data instanceof String text ? text.getBytes(StandardCharsets.UTF_8) : Json.bytes(data));
    event.write('\n');
    event.write('\n');
    return event.toByteArray();
  }
}
