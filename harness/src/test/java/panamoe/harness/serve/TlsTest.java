package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.TlsCertificate;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** HTTPS with certificates that keytool makes. */
@Timeout(60)
class TlsTest {
  private static final char[] PASSWORD = "password".toCharArray();

  /**
   * A certificate with its key.
   *
   * @param chain in PEM
   * @param key in PEM
   */
  private record Pair(X509Certificate certificate, String chain, String key) {}

  @TempDir private static Path stores;
  private static Pair first;
  private static Pair second;
  private static Pair ended;
  private static Pair odd; // a name in it is an address with a mask that has gaps

  @TempDir private Path folder;
  private final List<String> log = new ArrayList<>();

  @BeforeAll
  static void make() throws Exception {
    first = pair("first", "EC", "-1d");
    second = pair("second", "RSA -keysize 2048", "-1d");
    ended = pair("ended", "EC", "-9d");
    odd = pair("odd", "EC", "-2d", "2.5.29.17=30228720" + "00".repeat(16) + "0f".repeat(16));
  }

  private static Pair pair(String name, String algorithm, String start) throws Exception {
    return pair(name, algorithm, start, "san=dns:localhost");
  }

  private static Pair pair(String name, String algorithm, String start, String extension)
      throws Exception {
    Path store = stores.resolve(name);
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(
        List.of(
            ("-J-XX:TieredStopAtLevel=1 -genkeypair -alias a -keyalg "
                    + algorithm
                    + " -dname CN=localhost -validity 3 -storepass password -ext "
                    + extension
                    + " -startdate "
                    + start
                    + " -keystore "
                    + store)
                .split(" ")));
    Process keytool = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, keytool.waitFor(), said);
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, PASSWORD);
    }
    X509Certificate certificate = (X509Certificate) keys.getCertificate("a");
    return new Pair(
        certificate,
        pem("CERTIFICATE", certificate.getEncoded()),
        pem("PRIVATE KEY", keys.getKey("a", PASSWORD).getEncoded()));
  }

  private static String pem(String type, byte[] bytes) {
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n"
        .formatted(type, Base64.getMimeEncoder().encodeToString(bytes), type);
  }

  private TlsCertificate files(String chain, String key) throws IOException {
    return new TlsCertificate(
        Files.writeString(folder.resolve("server.pem"), chain),
        Files.writeString(folder.resolve("server.key"), key),
        log::add);
  }

  private static SSLContext trusting(Pair... pairs) throws Exception {
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    for (Pair pair : pairs) {
      trusted.setCertificateEntry(pair.toString(), pair.certificate());
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }

  @Test
  void answersByHttps() throws Exception {
    try (TlsCertificate certificate = files(first.chain(), first.key());
        TestServer server =
            new TestServer(TestServer.access(ApiKeys.NONE), certificate, null, () -> {});
        HttpClient client = HttpClient.newBuilder().sslContext(trusting(first)).build()) {
      URI url = URI.create("https://localhost:" + server.server.port() + "/v1/completions");
      for (boolean stream : new boolean[] {false, true}) {
        String body =
            "{\"prompt\":\"x\",\"max_tokens\":40,\"ignore_eos\":true,\"stream\":" + stream + "}";
        String answer =
            client
                .send(
                    HttpRequest.newBuilder(url).POST(BodyPublishers.ofString(body)).build(),
                    BodyHandlers.ofString())
                .body();
        assertTrue(answer.contains("\"finish_reason\":\"length\""), answer);
      }
      try (Socket plain = server.raw("/v1/completions", "{'prompt':'x'}")) {
        assertTrue(plain.getInputStream().read() != 'H', "HTTP without TLS is not answered");
      }
      try (SSLSocket leaving =
          (SSLSocket)
              trusting(first).getSocketFactory().createSocket("localhost", server.server.port())) {
        String body = "{\"prompt\":\"x\",\"max_tokens\":390,\"ignore_eos\":true,\"stream\":true}";
        String head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";
        leaving
            .getOutputStream()
            .write((head + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.US_ASCII));
        leaving.getInputStream().readNBytes(100);
      }
      server.awaitIdle();
      TestServer.await(() -> server.server.waiting() == 0);
    }
  }

  /** While texts are read, the end of a client is noticed, and its next request is not lost. */
  @Test
  void aClientThatLeavesWhileItWaitsIsNoticed() throws Exception {
    Semaphore steps = new Semaphore(0);
    try (TlsCertificate certificate = files(first.chain(), first.key());
        TestServer server =
            new TestServer(
                TestServer.access(ApiKeys.NONE), certificate, null, steps::acquireUninterruptibly);
        AutoCloseable _ = () -> steps.release(10_000)) {
      String body = "{\"input\":\"x\"}";
      String post = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";
      String next = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
      try (SSLSocket leaving = connected(server)) {
        write(leaving, post + body.length() + "\r\n\r\n" + body);
        TestServer.await(() -> server.server.waiting() == 1);
      }
      TestServer.await(() -> server.server.waiting() == 0);
      try (SSLSocket staying = connected(server)) {
        write(staying, post + body.length() + "\r\n\r\n" + body);
        TestServer.await(() -> server.server.waiting() == 1);
        write(staying, next);
        TestServer.pause(500); // so that the server looks
        steps.release(10_000);
        String answers =
            new String(staying.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(3, answers.split("HTTP/1.1 200 ").length, answers);
      }
    }
  }

  private static SSLSocket connected(TestServer server) throws Exception {
    return (SSLSocket)
        trusting(first, second).getSocketFactory().createSocket("localhost", server.server.port());
  }

  private static void write(Socket socket, String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
  }

  @Test
  void anotherCertificateIsTakenWhenItIsWrittenAndAWrongOneIsNot() throws Exception {
    try (TlsCertificate certificate = files(first.chain(), first.key());
        TestServer server =
            new TestServer(TestServer.access(ApiKeys.NONE), certificate, null, () -> {})) {
      assertEquals(first.certificate(), shown(server));
      certificate.reloadIfChanged();
      assertEquals(List.of(), log);

      Files.writeString(folder.resolve("server.pem"), second.chain());
      certificate.reloadIfChanged(); // the key may still be written
      assertEquals(List.of(), log);
      Files.writeString(folder.resolve("server.key"), second.key());
      certificate.reloadIfChanged();
      certificate.reloadIfChanged();
      assertEquals(1, log.size(), log::toString);
      assertTrue(log.getFirst().startsWith("the certificate was read again; it ends at "));
      assertEquals(second.certificate(), shown(server));
      assertEquals(second.certificate().getNotAfter().toInstant(), certificate.end());

      Files.writeString(folder.resolve("server.key"), first.key());
      reloaded(certificate, "has no key of the kind of the certificate in");
      Files.writeString(folder.resolve("server.pem"), ended.chain());
      reloaded(certificate, "has ended at ");
      Files.delete(folder.resolve("server.pem"));
      reloaded(certificate, "no such file or folder: " + folder.resolve("server.pem"));
      Files.writeString(folder.resolve("server.pem"), odd.chain());
      Files.writeString(folder.resolve("server.key"), odd.key());
      reloaded(certificate, "IPAddress cannot be parsed");
      assertEquals(second.certificate().getNotAfter().toInstant(), certificate.end());
      assertEquals(second.certificate(), shown(server));
      Files.writeString(folder.resolve("server.pem"), first.chain());
      Files.writeString(folder.resolve("server.key"), first.key());
      certificate.reloadIfChanged();
      certificate.reloadIfChanged();
      assertEquals(first.certificate(), shown(server));
    }
  }

  /** A warning is said once. */
  private void reloaded(TlsCertificate certificate, String why) {
    log.clear();
    for (int i = 0; i < 3; i++) {
      certificate.reloadIfChanged();
    }
    assertEquals(1, log.size(), log::toString);
    assertTrue(log.getFirst().startsWith("warning: the former certificate stays: "));
    assertTrue(log.getFirst().contains(why), log::toString);
  }

  /** The certificate of a new connection. */
  private static X509Certificate shown(TestServer server) throws Exception {
    try (SSLSocket socket = connected(server)) {
      socket.startHandshake();
      return (X509Certificate) socket.getSession().getPeerCertificates()[0];
    }
  }

  /** A command with the options. */
  @Command
  private static final class Listening {
    @Mixin private ListenOptions options;
  }

  @Test
  void aKeyThatEveryUserCanReadIsAWarning() throws Exception {
    files(first.chain(), first.key());
    Path key = folder.resolve("server.key");
    Listening listening = new Listening();
    new CommandLine(listening)
        .parseArgs(
            "--tls-certificate=" + folder.resolve("server.pem"), "--tls-key=" + key.toString());
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r-----"));
    listening.options.certificate(log::add).close();
    assertEquals(List.of(), log);
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
    listening.options.certificate(log::add).close();
    String warning = "warning: every user of this machine can read the keys in " + key;
    assertTrue(log.getFirst().startsWith(warning), log::toString);
  }

  @Test
  void whatDoesNotFitIsOneSentence() {
    refused(second.chain(), pem("PRIVATE KEY", new byte[20]), "has no key of the kind");
    refused(first.chain(), ended.key(), "is not that of the certificate in ");
    refused(ended.chain(), ended.key(), "has ended at 20");
    refused("", first.key(), "server.pem has no certificate in PEM");
    refused("-----BEGIN CERTIFICATE-----\nAAAA\n", first.key(), "has no certificate in PEM");
    refused(first.chain(), "", "server.key has no key in PEM, expected an unencrypted PRIVATE KEY");
    Stream.of("ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
        .forEach(
            type ->
                refused(
                    first.chain(),
                    pem(type, new byte[20]),
                    "has the form "
                        + type
                        + ", expected an unencrypted PRIVATE KEY in PEM, as openssl pkey -in "));
  }

  @Test
  void aFolderIsNamed() {
    FileSystemException e =
        assertThrows(FileSystemException.class, () -> new TlsCertificate(folder, folder, log::add));
    assertEquals(folder.toString(), e.getFile());
  }

  private void refused(String chain, String key, String why) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> files(chain, key)).getMessage();
    assertTrue(message.contains(why), message);
    assertEquals(1, message.lines().count());
  }
}
