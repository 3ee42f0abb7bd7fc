package panamoe.comm.nccl;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.IntStream;
import panamoe.bindings.nccl.NcclLibrary;
import panamoe.comm.CollectiveCall;
import panamoe.comm.CollectiveMismatch;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.GroupMember;
import panamoe.comm.LauncherVariables;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/**
 * Ranks with one GPU each. NCCL moves their tensors in the device's stream, and the host does not
 * wait. A second communicator, the control, carries NCCL's unique id, numbers, bytes and the
 * comparison before each collective, and notices lost ranks.
 *
 * <p>If the ranks' parts are equal, NCCL adds FLOAT32 itself: every rank gets the same bits, but in
 * NCCL's order instead of rank order. BFLOAT16, which NCCL would round at every hop, is added by
 * the device in float32.
 *
 * <p>Tested without GPUs against a stand-in library that implements NCCL's functions between
 * threads ({@code native/test/nccl_threads}).
 */
public final class NcclCommunicator extends GroupMember {
  private final Communicator control;
  private final NcclOperations operations;
  private boolean closed;

  private NcclCommunicator(
      Communicator control,
      NcclOperations operations,
      int[] ranks,
      int[] nodes,
      NcclCommunicator parent) {
    super(control.rank(), ranks, nodes, parent);
    this.control = control;
    this.operations = operations;
  }

  /**
   * Connects the ranks of {@code control} by NCCL; collective. Closing the world closes {@code
   * control} too.
   *
   * @param device the calling thread's GPU, which no other rank uses
   * @param timeout of work that the host waits for
   * @throws CommunicationException in one sentence: NCCL is not installed, or cannot connect the
   *     ranks
   */
  public static Communicator open(Communicator control, NcclDevice device, Duration timeout) {
    requireLibrary();
    if (control.rank() == 0) {
      LauncherVariables.warnOfClearTensors("NCCL");
    }
    int[] ranks = IntStream.range(0, control.size()).toArray();
    NcclWork work = new NcclWork();
    return new NcclCommunicator(
        control,
        new NcclOperations(work, work.watch(device), NcclGroup.open(control, timeout)),
        ranks,
        gather(control, control.node()),
        null);
  }

  /**
   * @throws CommunicationException in one sentence that says where NCCL was looked for, if it is
   *     not there
   */
  public static void requireLibrary() {
    try {
      NcclLibrary.ensureAvailable();
    } catch (UnsatisfiedLinkError e) {
      throw new CommunicationException(e.getMessage(), e);
    }
  }

  @Override
  public String name() {
    return control.name();
  }

  @Override
  public void allToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows) {
    CollectiveCall call =
        agreed(CollectiveCall.allToAll(this, location(), send, sendRows, receive, receiveRows));
    long[] sent = control.allToAll(sendRows);
    for (int from = 0; from < size(); from++) {
      if (sent[from] != receiveRows[from]) {
        throw mismatch(
            CollectiveMismatch.ofRows(
                name(), location(), ranks()[from], sent[from], rankInWorld(), receiveRows[from]));
      }
    }
    operations.exchange(
        blocks(send.address(), call.bytes(sendRows)),
        blocks(receive.address(), call.bytes(receiveRows)));
    count(call);
  }

  @Override
  public long[] allToAll(long[] send) {
    CollectiveCall call = CollectiveCall.allToAll(this, location(), send);
    long[] received = control.allToAll(send);
    count(call);
    return received;
  }

  @Override
  public void allReduce(Tensor tensor) {
    CollectiveCall call = CollectiveCall.allReduce(this, location(), tensor);
    MemorySegment data = tensor.address();
    long count = tensor.count();
    if (tensor.dtype() == DType.FLOAT32) {
      agreed(call);
      operations.allReduce(data, count);
    } else {
      long[] shares = new long[size()];
      Arrays.setAll(shares, i -> CollectiveCall.share(count, i, size()) * call.rowBytes());
      operations.reserve(tensor.dtype(), shares[rank()]);
      agreed(call);
      MemorySegment[] parts = blocks(data, shares);
      operations.addTerms(tensor.dtype(), parts, parts[rank()]);
      MemorySegment[] mine = new MemorySegment[size()];
      Arrays.fill(mine, parts[rank()]);
      operations.exchange(mine, parts);
    }
    count(call);
  }

  @Override
  public double allReduce(double value) {
    double sum = control.allReduce(value);
    count(CollectiveCall.allReduceNumber(location()));
    return sum;
  }

  @Override
  public void allGather(Tensor send, Tensor receive, long[] rows) {
    CollectiveCall call = agreed(CollectiveCall.allGather(this, location(), send, receive, rows));
    MemorySegment own = send.address().asSlice(0, rows[rank()] * call.rowBytes());
    MemorySegment all = receive.address();
    if (equal(rows)) {
      operations.allGather(own, all);
    } else {
      MemorySegment[] toEach = new MemorySegment[size()];
      Arrays.fill(toEach, own);
      operations.exchange(toEach, blocks(all, call.bytes(rows)));
    }
    count(call);
  }

  @Override
  public long[] allGather(long... values) {
    CollectiveCall call = CollectiveCall.allGatherNumbers(location(), values);
    long[] gathered = control.allGather(values);
    count(call);
    return gathered;
  }

  @Override
  public void reduceScatter(Tensor send, Tensor receive, long[] rows) {
    CollectiveCall call = CollectiveCall.reduceScatter(this, location(), send, receive, rows);
    long bytes = rows[rank()] * call.rowBytes();
    if (equal(rows) && send.dtype() == DType.FLOAT32) {
      agreed(call);
      operations.reduceScatter(send.address(), receive.address(), bytes / Float.BYTES);
    } else {
      operations.reserve(send.dtype(), bytes);
      agreed(call);
      operations.addTerms(
          send.dtype(),
          blocks(send.address(), call.bytes(rows)),
          receive.address().asSlice(0, bytes));
    }
    count(call);
  }

  @Override
  public byte[] broadcast(byte[] bytes, int root) {
    CollectiveCall call = CollectiveCall.broadcastBytes(this, location(), bytes, root);
    byte[] received = control.broadcast(bytes, root);
    count(call);
    return received;
  }

  @Override
  public void barrier() {
    control.barrier();
  }

  @Override
  public void at(String location) {
    super.at(location);
    control.at(location);
  }

  @Override
  public Communicator split(int color, int key, String name) {
    Part part = part(control.allGather(color, key));
    Communicator childControl = control.split(color, key, name);
    // The first member's number is the color, because NCCL refuses negative colors.
    NcclOperations child = operations.split(part.members()[0], part.rank(), childControl);
    return new NcclCommunicator(childControl, child, part.ranks(), part.nodes(), this);
  }

  @Override
  public boolean enqueues() {
    return true;
  }

  @Override
  public void enqueueOn(TensorDevice stream) {
    operations.enqueueOn(stream);
  }

  @Override
  public void abort(String reason) {
    String sentence = "rank " + rankInWorld() + " aborted: " + reason;
    operations.stop(sentence);
    control.abort(reason);
  }

  @Override
  public String failure() {
    return control.failure();
  }

  @Override
  public CommunicationException mismatch(String sentence) {
    operations.stop(sentence);
    return control.mismatch(sentence);
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      operations.close();
      control.close();
    }
  }

  /**
   * Compares the members' calls before NCCL runs, because NCCL would hang or corrupt memory if they
   * differ.
   */
  private CollectiveCall agreed(CollectiveCall call) {
    long[] digests = control.allGather(call.digest());
    if (Arrays.stream(digests).distinct().count() > 1) {
      String[] descriptions = new String[size()];
      for (int member = 0; member < size(); member++) {
        descriptions[member] =
            new String(control.broadcast(call.describe().getBytes(UTF_8), member), UTF_8);
      }
      throw mismatch(CollectiveMismatch.ofCalls(name(), ranks(), descriptions));
    }
    return call;
  }

  private static int[] gather(Communicator control, int number) {
    return Arrays.stream(control.allGather(number)).mapToInt(Math::toIntExact).toArray();
  }

  private static boolean equal(long[] rows) {
    return Arrays.stream(rows).allMatch(count -> count == rows[0]);
  }

  private static MemorySegment[] blocks(MemorySegment memory, long[] bytes) {
    MemorySegment[] blocks = new MemorySegment[bytes.length];
    long start = 0;
    for (int i = 0; i < bytes.length; i++) {
      blocks[i] = memory.asSlice(start, bytes[i]);
      start += bytes[i];
    }
    return blocks;
  }
}
