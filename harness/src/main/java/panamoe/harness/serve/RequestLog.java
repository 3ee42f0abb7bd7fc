package panamoe.harness.serve;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import panamoe.engine.GenerationRequest;
import panamoe.io.ConfigJson;
import panamoe.io.Count;
import panamoe.io.FileErrors;
import panamoe.io.SafeFolder;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes each text with its request to a file of its own, whole or not at all, which only the owner
 * may read. A thread of its own writes, so that nobody waits for the disk; a text that cannot be
 * written is counted and left out. Thread-safe.
 */
final class RequestLog implements AutoCloseable {
  /** Texts that wait for the disk before others are left out. */
  static final int QUEUE = 1024;

  /** How long {@link #close} may take. */
  static final Duration LAST_WRITES = Duration.ofSeconds(10);

  private static final Duration BETWEEN_WARNINGS = Duration.ofMinutes(1);
  private static final long POLL_MILLIS = 100;

  /** The texts of one answer. */
  final class Request {
    private final ResponseForm.Head head;
    private final ObjectNode fields;

    private Request(ResponseForm.Head head, ObjectNode fields) {
      this.head = head;
      this.fields = fields;
    }

    /** What records a text, and has it written when the text ends. */
    ResponseRecorder recorder(int index, GenerationRequest text) {
      return new ResponseRecorder(
          recorded ->
              put(
                  () ->
                      new LoggedCompletion(
                          head.id(),
                          index,
                          head.created(),
                          origin,
                          text.prompt(),
                          text.sampling(),
                          text.stop(),
                          text.routing(),
                          fields,
                          recorded.answer())));
    }
  }

  private final SafeFolder folder;
  private final LoggedCompletion.Origin origin;
  private final Metrics metrics;
  private final Consumer<String> log;
  private final BlockingQueue<Supplier<LoggedCompletion>> queue;
  private final Thread thread;
  private volatile boolean closing;
  // Guarded by this.
  private long lost;
  private String why;
  private long warned = System.nanoTime() - BETWEEN_WARNINGS.toNanos();

  /**
   * @param size most texts that wait for the disk
   * @param log receives a warning when texts were left out
   * @throws IOException if {@code path} is no folder that can be written to
   */
  RequestLog(
      Path path, LoggedCompletion.Origin origin, int size, Metrics metrics, Consumer<String> log)
      throws IOException {
    if (!Files.isDirectory(path)) {
      Files.createDirectories(
          path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
    if (!Files.isWritable(path)) {
      throw new AccessDeniedException(path.toString());
    }
    this.folder = new SafeFolder(path);
    this.origin = origin;
    this.queue = new ArrayBlockingQueue<>(size);
    this.metrics = metrics;
    this.log = log;
    this.thread = Thread.ofPlatform().daemon().name("request log").start(this::write);
  }

  /**
   * @param fields of the request
   */
  Request request(ResponseForm.Head head, Fields fields) {
    return new Request(head, fields.given(LoggedCompletion.FIELDS));
  }

  private void put(Supplier<LoggedCompletion> text) {
    if (!queue.offer(text)) {
      lose("the disk is too slow");
    }
  }

  private void write() {
    while (!closing || !queue.isEmpty()) {
      try {
        Supplier<LoggedCompletion> text = queue.poll(POLL_MILLIS, TimeUnit.MILLISECONDS);
        if (text != null) {
          write(text.get());
        }
      } catch (InterruptedException _) {
        break; // nobody waits for the rest
      } catch (RuntimeException e) {
        lose(e.toString()); // the next text may be written
      }
      warn(false);
    }
    while (queue.poll() != null) {
      lose("the server has ended");
    }
    warn(true);
  }

  private void write(LoggedCompletion text) {
    byte[] bytes = ConfigJson.text(text).getBytes(StandardCharsets.UTF_8);
    if (bytes.length > LoggedCompletion.MOST_BYTES) {
      lose(
          "a file would have more than "
              + LoggedCompletion.MOST_BYTES
              + " bytes"); // nobody reads it
      return;
    }
    try {
      folder.replace(
          text.fileName(),
          bytes,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    } catch (IOException e) {
      lose(FileErrors.reason(e));
    }
  }

  private synchronized void lose(String reason) {
    metrics.unlogged();
    lost++;
    why = reason;
  }

  private void warn(boolean last) {
    String warning;
    synchronized (this) {
      long now = System.nanoTime();
      if (lost == 0 || !last && now - warned < BETWEEN_WARNINGS.toNanos()) {
        return;
      }
      warning =
          "warning: could not log " + Count.of(lost, "text") + ": " + folder.path() + ": " + why;
      lost = 0;
      warned = now;
    }
    log.accept(warning); // may block, and the engine's thread counts what is lost
  }

  /** Writes what waits, for a while. */
  @Override
  public void close() {
    closing = true;
    try {
      if (!thread.join(LAST_WRITES)) {
        thread.interrupt();
        thread.join(LAST_WRITES);
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }
}
