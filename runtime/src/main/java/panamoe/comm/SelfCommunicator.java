package panamoe.comm;

import panamoe.tensor.Tensor;

/**
 * A world of one rank, for runs without other ranks: every exchange is a local copy, every sum has
 * one term.
 */
public final class SelfCommunicator implements Communicator {
  /** Stateless and thread-safe. */
  public static final Communicator WORLD = new SelfCommunicator();

  private SelfCommunicator() {}

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int size() {
    return 1;
  }

  @Override
  public String name() {
    return "world";
  }

  @Override
  public void allToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows) {
    copy(send, receive, sendRows[0]);
  }

  @Override
  public long[] allToAll(long[] send) {
    return send.clone();
  }

  @Override
  public void allReduce(Tensor tensor) {}

  @Override
  public double allReduce(double value) {
    return value;
  }

  @Override
  public void allGather(Tensor send, Tensor receive, long[] rows) {
    copy(send, receive, rows[0]);
  }

  @Override
  public long[] allGather(long... values) {
    return values.clone();
  }

  @Override
  public void reduceScatter(Tensor send, Tensor receive, long[] rows) {
    copy(send, receive, rows[0]);
  }

  @Override
  public byte[] broadcast(byte[] bytes, int root) {
    return bytes;
  }

  @Override
  public void barrier() {}

  @Override
  public void at(String location) {}

  @Override
  public Communicator split(int color, int key, String name) {
    return this;
  }

  @Override
  public int node() {
    return 0;
  }

  @Override
  public Traffic traffic() {
    return Traffic.NONE;
  }

  @Override
  public void abort(String reason) {}

  @Override
  public String failure() {
    return null;
  }

  @Override
  public CommunicationException mismatch(String sentence) {
    return new CommunicationException(sentence);
  }

  @Override
  public void close() {}

  private static void copy(Tensor from, Tensor to, long rows) {
    if (rows > 0) {
      part(to, rows).copyFrom(part(from, rows));
    }
  }

  private static Tensor part(Tensor tensor, long rows) {
    return rows == tensor.size(0) ? tensor : tensor.rows(0, rows);
  }
}
