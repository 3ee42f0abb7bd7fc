package panamoe.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.stream.Stream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A stand-in for the Hugging Face hub, with one repository: it lists files, gives small ones itself
 * and large ones from another host. Faults are answers that come before the right ones.
 */
public final class HubStandIn implements AutoCloseable {
  /** A request. */
  public record Asked(String host, String path, String range, String token) {}

  /** An answer in place of the right one; {@code body} null: the right one in part. */
  public record Fault(
      int status, Map<String, String> headers, byte[] body, int most, boolean silent) {
    public static Fault status(int status, Map<String, String> headers) {
      return new Fault(status, headers, new byte[0], 0, false);
    }

    public static Fault body(byte[] body) {
      return new Fault(200, Map.of(), body, body.length, false);
    }

    /** The right answer, cut after some bytes. */
    public static Fault cut(int after) {
      return new Fault(0, Map.of(), null, after, false);
    }

    /** The right answer up to some bytes, and then nothing more. */
    public static Fault silence(int after) {
      return new Fault(0, Map.of(), null, after, true);
    }
  }

  public static final String REPOSITORY = "acme/tiny";
  public static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

  /** Requests in order. */
  public final List<Asked> asked = new CopyOnWriteArrayList<>();

  /** Whether it answers requests for a part of a file with that part. */
  public volatile boolean knowsRanges = true;

  /** Is called before each answer, and may hold it back. */
  public volatile Consumer<Asked> before = _ -> {};

  /** The commit of main. */
  public volatile String commit = COMMIT;

  private final Map<String, byte[]> files = new TreeMap<>();
  private final Map<String, ObjectNode> listed = new TreeMap<>();
  private final Map<String, Queue<Fault>> faults = new ConcurrentHashMap<>();
  private final ObjectNode more = JsonNodeFactory.instance.objectNode();
  private final CountDownLatch closed = new CountDownLatch(1);
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpServer hub = server();
  private final HttpServer large = server();

  private HttpServer server() {
    try {
      HttpServer server =
          HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      server.setExecutor(threads);
      server.createContext("/", this::answer);
      server.start();
      return server;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Where it is, for {@code HF_ENDPOINT}. */
  public URI endpoint() {
    return URI.create("http://127.0.0.1:" + hub.getAddress().getPort());
  }

  /** Adds a file. */
  public HubStandIn with(String path, byte[] content) {
    files.put(path, content);
    ObjectNode entry = JsonNodeFactory.instance.objectNode().put("rfilename", path);
    entry.put("size", content.length).put("blobId", blob(content));
    if (isLarge(path)) {
      entry.putObject("lfs").put("size", content.length).put("sha256", sha256(content));
    }
    listed.put(path, entry);
    return this;
  }

  public HubStandIn with(String path, String content) {
    return with(path, content.getBytes(UTF_8));
  }

  /** Adds the files of a folder. */
  public HubStandIn with(Path folder) throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      for (Path file : all.toList()) {
        with(file.getFileName().toString(), Files.readAllBytes(file));
      }
    }
    return this;
  }

  /** What it says about a file, which a test may falsify. */
  public ObjectNode listed(String path) {
    return listed.get(path);
  }

  /** More keys of its answers about a revision. */
  public ObjectNode more() {
    return more;
  }

  /** Answers the next requests for a path that ends so by faults, one after the other. */
  public void fail(String pathsEnd, Fault... inOrder) {
    faults.computeIfAbsent(pathsEnd, _ -> new ConcurrentLinkedQueue<>()).addAll(List.of(inOrder));
  }

  /** The requests for a path that ends so. */
  public List<Asked> asked(String pathsEnd) {
    return asked.stream().filter(each -> each.path().endsWith(pathsEnd)).toList();
  }

  private static boolean isLarge(String path) {
    return path.endsWith(".safetensors") || path.endsWith(".gguf");
  }

  private void answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    String range = exchange.getRequestHeaders().getFirst("Range");
    Asked request =
        new Asked(
            exchange.getRequestHeaders().getFirst("Host"),
            path,
            range,
            exchange.getRequestHeaders().getFirst("Authorization"));
    asked.add(request);
    before.accept(request);
    Fault fault =
        faults.entrySet().stream()
            .filter(each -> path.endsWith(each.getKey()))
            .map(each -> each.getValue().poll())
            .filter(each -> each != null)
            .findFirst()
            .orElse(null);
    if (fault != null && fault.body() != null) {
      fault.headers().forEach(exchange.getResponseHeaders()::set);
      send(exchange, fault.status(), fault.body(), fault.body().length, false);
      return;
    }
    int most = fault == null ? Integer.MAX_VALUE : fault.most();
    boolean silent = fault != null && fault.silent();
    String resolve = "/" + REPOSITORY + "/resolve/" + commit + "/";
    if (path.startsWith("/api/models/" + REPOSITORY + "/revision/")) {
      send(exchange, 200, list(), most, silent);
    } else if (path.startsWith(resolve) && files.containsKey(path.substring(resolve.length()))) {
      String name = path.substring(resolve.length());
      if (isLarge(name)) {
        String place = "http://localhost:" + large.getAddress().getPort() + "/large/";
        exchange.getResponseHeaders().set("Location", place + name);
        send(exchange, 302, new byte[0], 0, false);
      } else {
        part(exchange, files.get(name), range, most, silent);
      }
    } else if (path.startsWith("/large/")) {
      part(exchange, files.get(path.substring("/large/".length())), range, most, silent);
    } else {
      send(exchange, 404, new byte[0], 0, false);
    }
  }

  private byte[] list() {
    ObjectNode answer = more.deepCopy().put("id", REPOSITORY).put("sha", commit);
    ArrayNode siblings = answer.putArray("siblings");
    listed.values().forEach(siblings::add);
    return answer.toString().getBytes(UTF_8);
  }

  private void part(HttpExchange exchange, byte[] whole, String range, int most, boolean silent)
      throws IOException {
    if (range == null || !knowsRanges) {
      send(exchange, 200, whole, most, silent);
      return;
    }
    int from = Integer.parseInt(range.replaceAll("\\D", ""));
    byte[] rest = Arrays.copyOfRange(whole, from, whole.length);
    String header = "bytes " + from + "-" + (whole.length - 1) + "/" + whole.length;
    exchange.getResponseHeaders().set("Content-Range", header);
    send(exchange, 206, rest, most, silent);
  }

  private void send(HttpExchange exchange, int status, byte[] body, int most, boolean silent)
      throws IOException {
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    OutputStream out = exchange.getResponseBody();
    out.write(body, 0, Math.min(most, body.length));
    out.flush();
    if (silent) {
      try {
        closed.await();
      } catch (InterruptedException _) {
        // it closes
      }
    }
    exchange.close();
  }

  public static String sha256(byte[] content) {
    return digest("SHA-256", content);
  }

  /** Git's digest of a file. */
  public static String blob(byte[] content) {
    byte[] head = ("blob " + content.length + "\0").getBytes(UTF_8);
    byte[] all = Arrays.copyOf(head, head.length + content.length);
    System.arraycopy(content, 0, all, head.length, content.length);
    return digest("SHA-1", all);
  }

  private static String digest(String kind, byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance(kind).digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    closed.countDown();
    hub.stop(0);
    large.stop(0);
    threads.shutdownNow();
  }
}
