package panamoe.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import panamoe.comm.Communicator;
import panamoe.io.FileTrouble;

/** What several ranks do together on the disk: where it fails on one, it fails on all. */
final class Agreement {
  /** A part of a save. */
  @FunctionalInterface
  interface Step {
    void run() throws IOException;
  }

  private Agreement() {}

  /**
   * Runs {@code step} on every rank. A rank whose own step went well throws what the first failing
   * rank says.
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
              case IOException e -> FileTrouble.sentence(e);
              case Exception e -> String.valueOf(e.getMessage());
            };
        byte[] sentence = mine.getBytes(UTF_8);
        String told = new String(ranks.broadcast(sentence, rank), UTF_8);
        switch (failure) {
          case IOException e -> throw e;
          case RuntimeException e -> throw e;
          case null, default -> throw new IOException("rank " + rank + ": " + told);
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
