package panamoe.harness.serve.http;

/**
 * A key of a server: who has it and what it permits. The server knows only its hash. Thread-safe.
 *
 * @param name in the access log; empty for {@link #NONE}
 * @param digest SHA-256 of its UTF-8
 * @param priority the lowest that its requests may have, and have by default; {@link #ANY} if they
 *     may have each
 */
public record ApiKey(String name, byte[] digest, int priority, Quota quota) {
  static final int ANY = Integer.MIN_VALUE;

  /** For requests without a key: a server without keys, or a path that needs none. */
  public static final ApiKey NONE = new ApiKey("", new byte[0], ANY, Quota.UNLIMITED);

  /** The priority of a request that asks for none. */
  public int usualPriority() {
    return priority == ANY ? 0 : priority;
  }

  /** The priority of a request that asks for {@code wanted}. */
  public int priorityOf(int wanted) {
    return Math.max(priority, wanted);
  }
}
