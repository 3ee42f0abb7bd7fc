package panamoe.harness.serve.http;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * What the requests of a key may take: a number of them at a time, and requests and tokens in a
 * minute. Both budgets begin with those of a minute and fill up steadily. Prompts are counted when
 * they start, and completions token by token, so that the requests that run may exceed the budget,
 * and the next one waits longer. Thread-safe.
 */
public final class Quota {
  static final Quota UNLIMITED = new Quota(Integer.MAX_VALUE, 0, 0);

  private static final double MINUTE = TimeUnit.MINUTES.toNanos(1);
  private static final long RETRY_MILLIS = 1000;

  private final int concurrent;
  private final Budget requests;
  private final Budget tokens;
  private final LongSupplier clock;
  private int running;

  /**
   * @param concurrent requests at a time
   * @param requests in a minute; 0 for any number
   * @param tokens of prompts and completions in a minute; 0 for any number
   */
  Quota(int concurrent, int requests, int tokens) {
    this(concurrent, requests, tokens, System::nanoTime);
  }

  Quota(int concurrent, int requests, int tokens, LongSupplier clock) {
    this.concurrent = concurrent;
    this.clock = clock;
    this.requests = requests == 0 ? null : new Budget(requests);
    this.tokens = tokens == 0 ? null : new Budget(tokens);
  }

  /** A request that runs; closed at its end. */
  public interface Share extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Begins a request.
   *
   * @param counted whether it takes of the budgets
   * @throws ApiError 429 if the key has no more
   */
  public synchronized Share begin(boolean counted) {
    if (running >= concurrent) {
      throw ApiError.limited(
          "this key has its " + concurrent + " requests at a time", RETRY_MILLIS);
    }
    if (counted) {
      require(tokens, 1, "tokens");
      require(requests, 1, "requests");
      if (requests != null) {
        requests.left--;
      }
    }
    running++;
    return this::end;
  }

  private void require(Budget budget, double least, String what) {
    if (budget != null && budget.now() < least) {
      throw ApiError.limited(
          "this key has used its " + budget.minute + " " + what + " a minute",
          (long) Math.ceil((least - budget.left) * TimeUnit.MINUTES.toMillis(1) / budget.minute));
    }
  }

  private synchronized void end() {
    running--;
  }

  /**
   * Takes the tokens of a request's prompts, of which the last ones may exceed the budget.
   *
   * @throws ApiError 429 if requests that began before have used the budget
   */
  synchronized void start(long count) {
    require(tokens, 1, "tokens");
    use(count);
  }

  /** Takes tokens that a request has used. */
  void use(long count) {
    if (tokens != null) {
      synchronized (this) {
        tokens.now();
        tokens.left -= count;
      }
    }
  }

  /** A budget that fills up. */
  private final class Budget {
    private final int minute;
    private double left;
    private long at = clock.getAsLong();

    Budget(int minute) {
      this.minute = minute;
      this.left = minute;
    }

    double now() {
      long now = clock.getAsLong();
      left = Math.min(minute, left + minute * (now - at) / MINUTE);
      at = now;
      return left;
    }
  }
}
