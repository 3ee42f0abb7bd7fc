package panamoe.harness.ranks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import panamoe.comm.exchange.Exchange;
import panamoe.harness.SharedOptions;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParameterException;

/**
 * {@link RankRun}: ranks end together after success, without waiting for each other after a
 * failure.
 */
class RankRunTest {
  private static final int RANKS = 4;
  private static final int FAILING = 3;

  @Command(name = "play")
  private static final class Options {
    @Mixin private RankOptions ranks;
    @Mixin private SharedOptions shared;
  }

  private static Options parsed(String options) {
    Options parsed = new Options();
    new CommandLine(parsed).setCaseInsensitiveEnumValuesAllowed(true).parseArgs(options.split(" "));
    return parsed;
  }

  private static RankRun run(String options) {
    Options parsed = parsed(options);
    return new RankRun(parsed.ranks, parsed.shared);
  }

  @Test
  void moreThreadsThanAProcessTakesAreRefused() {
    parsed("--ranks 64").ranks.requireAvailable();
    RankOptions many = parsed("--ranks 65").ranks;
    String message = assertThrows(ParameterException.class, many::requireAvailable).getMessage();
    assertTrue(message.startsWith("--ranks is 65, but a process has at most 64"), message);
  }

  /**
   * A failed rank must not close its groups: that would count as the first failure and hide the
   * reason.
   */
  @Test
  void whyARankFailedIsNotHiddenByTheGroupsItLeaves() {
    CountDownLatch waiting = new CountDownLatch(RANKS - 1);
    IOException failure =
        assertThrows(
            IOException.class,
            () ->
                run("--ranks " + RANKS + " --nodes 2 --exchange hierarchical --device reference")
                    .run(
                        (ranks, backend, _) -> {
                          Exchange exchange = ranks.exchange(ranks.experts(RANKS), backend);
                          if (ranks.world().rank() == FAILING) {
                            waiting.await();
                            Thread.sleep(200);
                            throw new IOException("the disk is full");
                          }
                          waiting.countDown();
                          return exchange.plan(new long[RANKS], Float.BYTES);
                        }));
    assertEquals("the disk is full", failure.getMessage());
  }

  @Test
  void whatRank0GaveBackIsTheResult() throws Exception {
    String result =
        run("--ranks 3 --device reference").run((ranks, _, _) -> "rank " + ranks.world().rank());
    assertEquals("rank 0", result);
  }
}
