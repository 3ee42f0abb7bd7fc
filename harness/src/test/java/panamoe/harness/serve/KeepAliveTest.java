package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.harness.serve.http.ApiKeys;

/** Connections can be reused after every response: the server closes none that a client keeps. */
@Timeout(60)
class KeepAliveTest {
  private static final int CLIENTS = 300;
  private static final String LIVE = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

  /** A client that keeps its connection. */
  private static final class Kept implements AutoCloseable {
    private final Socket socket;
    private final BufferedReader in;

    Kept(TestServer server) throws IOException {
      socket = new Socket(InetAddress.getLoopbackAddress(), server.server.port());
      in =
          new BufferedReader(
              new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
    }

    void send(String request) throws IOException {
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
    }

    /** Reads a response, and returns its status: -1 if the connection is closed. */
    int answer(boolean head) throws IOException {
      String line = in.readLine();
      if (line == null) {
        return -1;
      }
      int status = Integer.parseInt(line.split(" ")[1]);
      int length = -1;
      for (line = in.readLine(); !line.isEmpty(); line = in.readLine()) {
        if (line.toLowerCase(Locale.ROOT).startsWith("content-length: ")) {
          length = Integer.parseInt(line.substring("content-length: ".length()));
        }
      }
      if (head) {
        return status;
      }
      if (length >= 0) {
        in.skip(length);
        return status;
      }
      for (length = chunk(); length > 0; length = chunk()) {
        in.skip(length);
        in.readLine();
      }
      in.readLine();
      return status;
    }

    private int chunk() throws IOException {
      return Integer.parseInt(in.readLine(), 16);
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  private static String post(String path, String body) {
    String json = TestServer.quoted(body);
    return "POST "
        + path
        + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        + json.length()
        + "\r\n\r\n"
        + json;
  }

  @Test
  void afterEachKindOfAnswer() throws IOException {
    String completions = "/v1/completions";
    try (TestServer server = new TestServer();
        Kept client = new Kept(server)) {
      for (int round = 0; round < 3; round++) {
        client.send(LIVE);
        assertEquals(200, client.answer(false));
        client.send(LIVE.replace("GET", "HEAD"));
        assertEquals(200, client.answer(true));
        client.send(LIVE.replace("/livez", "/nothing"));
        assertEquals(404, client.answer(false));
        client.send(post("/livez", " ".repeat(1 << 20)));
        assertEquals(405, client.answer(false));
        client.send(post(completions, "{'prompt':'a','max_tokens':5}"));
        assertEquals(200, client.answer(false));
        client.send(post(completions, "{'prompt':'a','max_tokens':5,'stream':true}"));
        assertEquals(200, client.answer(false));
        client.send(post(completions, "{'prompt':"));
        assertEquals(400, client.answer(false));
        client.send(post(completions, " ".repeat(TestServer.LIMITS.http().bodyBytes() + 1)));
        assertEquals(413, client.answer(false));
      }
    }
  }

  /** Whether a new connection gets a response: while all are open, it may wait or be reset. */
  private static boolean isAnswered(TestServer server) {
    try (Kept client = new Kept(server)) {
      client.socket.setSoTimeout(1000);
      client.send(LIVE);
      return client.answer(false) == 200;
    } catch (IOException _) {
      return false;
    }
  }

  /** If all connections are open, idle ones are closed long before their own timeout. */
  @Test
  void idleConnectionsMakeRoom() throws Exception {
    try (TestServer server = new TestServer(TestServer.limits(4), ApiKeys.NONE, () -> {})) {
      List<Kept> idle = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        idle.add(new Kept(server));
        idle.getLast().send(LIVE);
        assertEquals(200, idle.getLast().answer(false));
      }
      TestServer.await(() -> isAnswered(server));
      for (Kept one : idle) {
        one.close();
      }
    }
  }

  @Test
  void ofManyClients() throws IOException {
    try (TestServer server = new TestServer()) {
      List<Kept> clients = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        clients.add(new Kept(server));
      }
      for (int round = 0; round < 2; round++) {
        for (Kept client : clients) {
          client.send(LIVE);
          assertEquals(200, client.answer(false));
        }
      }
      for (Kept client : clients) {
        client.close();
      }
    }
  }
}
