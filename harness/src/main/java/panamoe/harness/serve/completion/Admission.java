package panamoe.harness.serve.completion;

import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Limits;
import panamoe.io.Words;

/** Decides whether a request may wait: its wait is bounded by that of a full queue. Thread-safe. */
public final class Admission {
  private static final long LEAST_MILLIS = 100;
  private static final long MOST_MILLIS = 60_000;
  // Weight of the latest interval in the running mean.
  private static final double WEIGHT = 0.2;

  private final Limits.Queue limits;
  private int texts;
  private long tokens;
  // Refused sequences, less those that have ended since.
  private int refused;
  private long endedAt = System.nanoTime();
  private double secondsPerText;

  public Admission(Limits.Queue limits) {
    this.limits = limits;
  }

  /**
   * Reserves slots for a request.
   *
   * @throws ApiError 429 if too many wait
   */
  public Slots admit(CompletionRequest request) {
    int bound = limits.sequences() + limits.waiting();
    if (request.choices() > bound) {
      throw ApiError.invalid(
          "the request asks for " + request.choices() + " completions, this server takes " + bound,
          "n");
    }
    return admit(request.choices(), request.promptTokens());
  }

  /**
   * Reserves slots for {@code more} sequences with {@code promptTokens} in all prompts.
   *
   * @throws ApiError 429 if too many wait
   */
  public synchronized Slots admit(int more, long promptTokens) {
    if (texts + more > limits.sequences() + limits.waiting()) {
      throw overloaded(
          more,
          Words.of(
              "%s sequences wait, the server's bound is %s",
              Math.max(0, texts - limits.sequences()), limits.waiting()));
    }
    double wait = secondsPerText * (texts + more - limits.sequences());
    if (wait > limits.maxWait().toMillis() / 1e3) {
      throw overloaded(
          more,
          Words.of(
              "it would wait about %.1f s, the server's bound is %.1f s",
              wait, limits.maxWait().toMillis() / 1e3));
    }
    if (tokens > 0 && tokens + promptTokens > limits.tokens()) {
      throw overloaded(
          more, "prompts of " + tokens + " tokens wait, the server's bound is " + limits.tokens());
    }
    if (texts == 0) {
      endedAt = System.nanoTime(); // the queue was empty until now
    }
    texts += more;
    tokens += promptTokens;
    return new Slots(more, promptTokens);
  }

  /** Clients retry; when as many were refused as may wait, retrying does not help. */
  private ApiError overloaded(int more, String why) {
    refused += more;
    long millis = (long) (1000 * secondsPerText * refused);
    return ApiError.overloaded(
        why, Math.clamp(millis, LEAST_MILLIS, MOST_MILLIS), refused <= limits.waiting());
  }

  /** The slots of one request. */
  public final class Slots implements AutoCloseable {
    private final int ownTexts;
    private long ownTokens;

    private Slots(int texts, long tokens) {
      ownTexts = texts;
      ownTokens = tokens;
    }

    /**
     * The first choice of a prompt has its first token, or has ended.
     *
     * @param promptTokens of that prompt
     */
    public void computed(long promptTokens) {
      synchronized (Admission.this) {
        long done = Math.min(promptTokens, ownTokens); // 0 after the slots were released
        ownTokens -= done;
        tokens -= done;
      }
    }

    /** Releases the slots; called once. */
    @Override
    public void close() {
      synchronized (Admission.this) {
        computed(ownTokens);
        texts -= ownTexts;
        refused = texts == 0 ? 0 : Math.max(0, refused - ownTexts);
        long now = System.nanoTime();
        double latest = (now - endedAt) / 1e9 / ownTexts;
        secondsPerText += WEIGHT * (latest - secondsPerText);
        endedAt = now;
      }
    }
  }
}
