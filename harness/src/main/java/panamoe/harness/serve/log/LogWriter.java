package panamoe.harness.serve.log;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import panamoe.io.Count;
import panamoe.io.FileErrors;

/**
 * Writes a log by a separate thread, so that nobody waits for the disk. What cannot be written is
 * counted and dropped. Thread-safe.
 */
public final class LogWriter<T> implements AutoCloseable {
  /** Entries that wait for the disk before further ones are dropped. */
  public static final int QUEUE = 1024;

  /** Maximum duration of {@link #close}. */
  public static final Duration LAST_WRITES = Duration.ofSeconds(10);

  private static final Duration BETWEEN_WARNINGS = Duration.ofMinutes(1);
  private static final long POLL_MILLIS = 100;

  /** Writes an entry. */
  @FunctionalInterface
  interface Disk<T> {
    void write(T entry) throws IOException;
  }

  private final Path path;
  private final String what;
  private final Disk<T> disk;
  private final Runnable onLoss;
  private final Consumer<String> log;
  private final BlockingQueue<T> queue;
  private final Thread thread;
  private volatile boolean closing;
  // Guarded by this.
  private long lost;
  private String why;
  private long warned = System.nanoTime() - BETWEEN_WARNINGS.toNanos();

  /**
   * @param path what is written to, for warnings
   * @param what an entry is called
   * @param size most entries that wait for the disk
   * @param onLoss called for each dropped entry
   * @param log receives a warning when entries were dropped
   */
  LogWriter(Path path, String what, int size, Disk<T> disk, Runnable onLoss, Consumer<String> log) {
    this.path = path;
    this.what = what;
    this.disk = disk;
    this.onLoss = onLoss;
    this.log = log;
    this.queue = new ArrayBlockingQueue<>(size);
    this.thread = Thread.ofPlatform().daemon().name("log of a " + what).start(this::write);
  }

  void put(T entry) {
    if (!queue.offer(entry)) {
      lose("the disk is too slow");
    }
  }

  private void write() {
    while (!closing || !queue.isEmpty()) {
      try {
        T entry = queue.poll(POLL_MILLIS, TimeUnit.MILLISECONDS);
        if (entry != null) {
          disk.write(entry);
        }
      } catch (InterruptedException _) {
        break; // nobody waits for the rest
      } catch (IOException e) {
        lose(FileErrors.reason(e));
      } catch (RuntimeException e) {
        lose(e.toString()); // the next entry may be written
      }
      warn(false);
    }
    while (queue.poll() != null) {
      lose("the server has ended");
    }
    warn(true);
  }

  private synchronized void lose(String reason) {
    onLoss.run();
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
      warning = "warning: could not log " + Count.of(lost, what) + ": " + path + ": " + why;
      lost = 0;
      warned = now;
    }
    log.accept(warning); // may block, and the engine's thread counts dropped entries
  }

  /** Writes what is queued, within {@link #LAST_WRITES}. */
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
