package panamoe.comm.tcp;

import org.junit.jupiter.api.Timeout;
import panamoe.comm.CommunicatorContract;

@Timeout(60)
class EncryptedTcpCommunicatorTest extends CommunicatorContract {
  @Override
  protected void run(int ranks, Body body) {
    TcpCommunicatorTest.run(ranks, true, body);
  }
}
