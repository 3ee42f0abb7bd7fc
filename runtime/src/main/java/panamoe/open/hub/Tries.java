package panamoe.open.hub;

import java.io.IOException;
import java.net.ConnectException;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpHeaders;
import java.nio.channels.UnresolvedAddressException;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import javax.net.ssl.SSLException;
import panamoe.checkpoint.CheckpointException;

/**
 * Waits before another try, each time longer, and gives up after five that brought nothing, or at
 * once if the hub was never reached.
 */
final class Tries {
  /** A failure after which the server asks to wait. */
  static final class Later extends IOException {
    private static final Pattern RESET = Pattern.compile("\\bt=(\\d{1,9})\\b");

    private final transient Duration asked;

    /**
     * @param headers of an answer: {@code Retry-After}, or {@code RateLimit} with seconds {@code
     *     t=}
     */
    Later(String message, HttpHeaders headers) {
      super(message);
      this.asked =
          headers
              .firstValue("Retry-After")
              .map(text -> asked(text.strip()))
              .or(() -> headers.firstValue("RateLimit").flatMap(Later::untilReset))
              .orElse(Duration.ZERO);
    }

    private static Optional<Duration> untilReset(String limit) {
      return RESET
          .matcher(limit)
          .results()
          .map(found -> Duration.ofSeconds(Long.parseLong(found.group(1))))
          .findFirst();
    }

    private static Duration asked(String text) {
      if (text.matches("\\d{1,9}")) {
        return Duration.ofSeconds(Long.parseLong(text));
      }
      try {
        ZonedDateTime until = ZonedDateTime.parse(text, DateTimeFormatter.RFC_1123_DATE_TIME);
        return Duration.between(Instant.now(), until);
      } catch (DateTimeException _) {
        return Duration.ZERO;
      }
    }
  }

  /** Waits. */
  interface Pause {
    void sleep(Duration time) throws InterruptedException;
  }

  private static final int MOST = 5;
  private static final Duration LONGEST = Duration.ofMinutes(5);
  private static final Duration SAID = Duration.ofSeconds(10);

  private final String host;
  private final Pause pause;
  private final Consumer<String> notes;
  private int failed;
  private boolean reached;

  Tries(String host, Pause pause, Consumer<String> notes) {
    this.host = host;
    this.pause = pause;
    this.notes = notes;
  }

  /** A try brought something. */
  void brought() {
    failed = 0;
    reached = true;
  }

  /**
   * A try failed: returns when it is time for the next.
   *
   * @throws CheckpointException if there is to be no next
   * @throws CancellationException if the thread is interrupted, which it stays
   */
  void failed(IOException failure) {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException();
    }
    Duration wait = Duration.ofSeconds(1L << failed++);
    if (failure instanceof Later later) {
      wait = later.asked.compareTo(wait) > 0 ? later.asked : wait;
    }
    boolean unreachable =
        failure instanceof ConnectException
            || failure instanceof HttpConnectTimeoutException
            || failure instanceof SSLException;
    if (unreachable && !reached) {
      throw new CheckpointException(
          host
              + " cannot be reached: "
              + reason(failure)
              + "; without the network only models in the cache can be opened",
          failure);
    }
    if (failed >= MOST || wait.compareTo(LONGEST) > 0) {
      throw new CheckpointException(host + " fails: " + reason(failure), failure);
    }
    if (wait.compareTo(SAID) >= 0) {
      notes.accept(host + ": " + reason(failure) + "; trying again in " + wait.toSeconds() + " s");
    }
    try {
      pause.sleep(wait);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException();
    }
  }

  private static String reason(IOException failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof UnresolvedAddressException) {
        return "its name has no address";
      }
    }
    return failure.getMessage() == null
        ? failure.getClass().getSimpleName()
        : failure.getMessage().strip();
  }
}
