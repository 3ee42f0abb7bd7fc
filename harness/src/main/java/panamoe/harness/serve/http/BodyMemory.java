package panamoe.harness.serve.http;

/**
 * Limits the memory for the bodies of all requests, while they arrive and while they are read, and
 * for large responses. Small bodies always have room, so that large ones do not block other
 * clients. Thread-safe.
 */
final class BodyMemory {
  /** Bytes of each request that are not counted; the number of connections is limited. */
  static final long SMALL = 64 << 10;

  private final long most;
  private long taken;

  /**
   * @param most bytes of all requests; a single one may have more
   */
  BodyMemory(long most) {
    this.most = most;
  }

  Share share() {
    return new Share();
  }

  /** The memory of one request. Used by one thread at a time. */
  final class Share implements AutoCloseable {
    private long mine;

    /**
     * Reserves {@code bytes} in total. Of two requests that do not fit together one succeeds.
     *
     * @throws ApiError 429 if others have too much
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

    /** Like {@link #grow}, by {@code more} bytes, if they are not few. */
    void add(long more) {
      if (more > SMALL) {
        grow(SMALL + mine + more);
      }
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
