package panamoe.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import panamoe.comm.Communicator;
import panamoe.io.FileErrors;

/** Disk operations of several ranks that succeed or fail together. */
final class CollectiveDisk {
  /** A step of a save. */
  @FunctionalInterface
  interface Step {
    void run() throws IOException;
  }

  private CollectiveDisk() {}

  /**
   * Runs {@code step} on every rank. If it fails on one, every rank throws, with the message of the
   * first rank that failed.
   */
  static void allDo(Communicator ranks, Step step) throws IOException {
    Exception failure = null;
    try {
      step.run();
    } catch (IOException | RuntimeException e) {
      failure = e;
    }
    long[] failed = ranks.allGather(failure == null ? 0 : 1);
    for (int rank = 0; rank < failed.length; rank++) {
      if (failed[rank] != 0) {
        String mine =
            switch (failure) {
              case null -> "";
              case IOException e -> FileErrors.sentence(e);
              case Exception e -> String.valueOf(e.getMessage());
            };
        byte[] sentence = mine.getBytes(UTF_8);
        String received = new String(ranks.broadcast(sentence, rank), UTF_8);
        switch (failure) {
          case IOException e -> throw e;
          case RuntimeException e -> throw e;
          case null, default -> throw new IOException("rank " + rank + ": " + received);
        }
      }
    }
  }

  /** Runs {@code step} on the first rank; all others wait for it. */
  static void firstDoes(Communicator ranks, Step step) throws IOException {
    allDo(
        ranks,
        () -> {
          if (ranks.rank() == 0) {
            step.run();
          }
        });
  }
}
