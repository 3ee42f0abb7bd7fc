package panamoe.comm.tcp;

import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Timeout;
import panamoe.comm.CommunicatorContract;

@Timeout(60)
class TcpCommunicatorTest extends CommunicatorContract {
  @Override
  protected void run(int ranks, Body body) {
    run(ranks, false, body);
  }

  static void run(int ranks, boolean encrypted, Body body) {
    TcpRanks.run(ranks, Duration.ofSeconds(20), encrypted, body).stream()
        .filter(Objects::nonNull)
        .findFirst()
        .ifPresent(
            thrown -> {
              throw new AssertionError(thrown);
            });
  }
}
