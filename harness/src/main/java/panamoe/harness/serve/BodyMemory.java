package panamoe.harness.serve;

/**
 * The memory that the bodies of all requests may take together, as they arrive and as they are
 * read. Small ones always have room: those who hold large ones keep nobody else from asking.
 * Thread-safe.
 */
final class BodyMemory {
  /** Bytes of each request that do not count; connections are limited. */
  private static final long SMALL = 64 << 10;

  private final long most;
  private long taken;

  /**
   * @param most bytes of all requests; one alone may have more
   */
  BodyMemory(long most) {
    this.most = most;
  }

  Share share() {
    return new Share();
  }

  /** What one request takes. Used by one thread at a time. */
  final class Share implements AutoCloseable {
    private long mine;

    /**
     * Takes {@code bytes} in all. Of two that have no room together one gets it.
     *
     * @throws ApiError 429 if others have too much for that
     */
    void grow(long bytes) {
      long more = Math.max(0, bytes - SMALL - mine);
      synchronized (BodyMemory.this) {
        if (more == 0 || taken + more <= most || taken == mine) {
          taken += more;
          mine += more;
          return;
        }
      }
      close();
      throw ApiError.overloaded(
          "the requests that are being read take all the memory that they may have", 1000, true);
    }

    @Override
    public void close() {
      synchronized (BodyMemory.this) {
        taken -= mine;
      }
      mine = 0;
    }
  }
}
