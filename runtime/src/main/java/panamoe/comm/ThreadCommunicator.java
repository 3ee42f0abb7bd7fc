package panamoe.comm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.comm.ThreadBarrier.Offer;
import panamoe.io.Require;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * Ranks as threads of one process. A rank receives by one copy from its peer's memory. Tensors on a
 * GPU go through copies on the host.
 */
public final class ThreadCommunicator extends GroupMember {
  // Never started: represents any other thread when checking whether a tensor may be read from
  // other threads.
  private static final Thread ANOTHER_THREAD = new Thread(() -> {});

  private final ThreadBarrier group;
  private final WorldFailure failure;
  private final VirtualClock clock;
  private final List<ThreadCommunicator> children = new ArrayList<>();
  private volatile boolean closed;

  /**
   * @param nodes of the members
   */
  ThreadCommunicator(
      ThreadBarrier group,
      int rank,
      int[] nodes,
      WorldFailure failure,
      VirtualClock clock,
      ThreadCommunicator parent) {
    super(rank, group.ranks(), nodes, parent);
    this.group = group;
    this.failure = failure;
    this.clock = clock;
  }

  @Override
  public String name() {
    return group.name();
  }

  @Override
  public void allToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows) {
    CollectiveCall call =
        CollectiveCall.allToAll(this, location(), send, sendRows, receive, receiveRows);
    HostView received = HostView.of(receive);
    MemorySegment into = received.memory();
    Offer[] offers = meet(call, shared(send), starts(sendRows, call.rowBytes()));
    try {
      long[] from = starts(receiveRows, call.rowBytes());
      // Each member starts with itself, so that they do not all read from one member at the same
      // time.
      for (int i = 0; i < size(); i++) {
        int source = (rank() + i) % size();
        Offer offer = offers[source];
        MemorySegment.copy(
            offer.memory(),
            offer.numbers()[rank()],
            into,
            from[source],
            receiveRows[source] * call.rowBytes());
      }
    } finally {
      group.part();
    }
    received.write(0, bytes(receiveRows, call.rowBytes()));
  }

  @Override
  public long[] allToAll(long[] send) {
    Offer[] offers = meet(CollectiveCall.allToAll(this, location(), send), null, send.clone());
    int each = send.length / size();
    long[] received = new long[send.length];
    for (int source = 0; source < size(); source++) {
      System.arraycopy(offers[source].numbers(), rank() * each, received, source * each, each);
    }
    return received;
  }

  @Override
  public void allReduce(Tensor tensor) {
    CollectiveCall call = CollectiveCall.allReduce(this, location(), tensor);
    HostView sums = view(tensor);
    Offer[] offers = meet(call, sums.memory(), null);
    try {
      // One member reads and writes each element, so the sum needs no buffer.
      long count = CollectiveCall.share(tensor.count(), rank(), size());
      long from =
          IntStream.range(0, rank())
              .mapToLong(i -> CollectiveCall.share(tensor.count(), i, size()))
              .sum();
      MemorySegment[] parts = parts(offers, from * call.rowBytes(), count * call.rowBytes());
      if (size() > 1) {
        Reduction.sum(tensor.dtype(), count, parts, parts);
      }
    } finally {
      group.part();
    }
    sums.write();
  }

  @Override
  public double allReduce(double value) {
    Offer[] offers =
        meet(
            CollectiveCall.allReduceNumber(location()),
            null,
            new long[] {Double.doubleToRawLongBits(value)});
    double sum = Double.longBitsToDouble(offers[0].numbers()[0]);
    for (int source = 1; source < size(); source++) {
      sum += Double.longBitsToDouble(offers[source].numbers()[0]);
    }
    return sum;
  }

  @Override
  public void allGather(Tensor send, Tensor receive, long[] rows) {
    CollectiveCall call = CollectiveCall.allGather(this, location(), send, receive, rows);
    HostView received = HostView.of(receive);
    MemorySegment into = received.memory();
    Offer[] offers = meet(call, shared(send), null);
    try {
      long[] starts = starts(rows, call.rowBytes());
      for (int i = 0; i < size(); i++) {
        int source = (rank() + i) % size();
        MemorySegment.copy(
            offers[source].memory(), 0, into, starts[source], rows[source] * call.rowBytes());
      }
    } finally {
      group.part();
    }
    received.write(0, bytes(rows, call.rowBytes()));
  }

  @Override
  public long[] allGather(long... values) {
    Offer[] offers =
        meet(CollectiveCall.allGatherNumbers(location(), values), null, values.clone());
    return Arrays.stream(offers).flatMapToLong(offer -> Arrays.stream(offer.numbers())).toArray();
  }

  @Override
  public void reduceScatter(Tensor send, Tensor receive, long[] rows) {
    CollectiveCall call = CollectiveCall.reduceScatter(this, location(), send, receive, rows);
    HostView received = HostView.of(receive);
    long bytes = rows[rank()] * call.rowBytes();
    Offer[] offers = meet(call, shared(send), null);
    try {
      DType dtype = send.dtype();
      MemorySegment[] parts = parts(offers, starts(rows, call.rowBytes())[rank()], bytes);
      Reduction.sum(dtype, bytes / dtype.bytes(), parts, received.memory());
    } finally {
      group.part();
    }
    received.write(0, bytes);
  }

  @Override
  public byte[] broadcast(byte[] bytes, int root) {
    CollectiveCall call = CollectiveCall.broadcastBytes(this, location(), bytes, root);
    Offer[] offers = meet(call, rank() == root ? MemorySegment.ofArray(bytes.clone()) : null, null);
    return rank() == root ? bytes : offers[root].memory().toArray(ValueLayout.JAVA_BYTE);
  }

  @Override
  public void barrier() {
    meet(CollectiveCall.barrier(location()), null, null);
  }

  @Override
  public Communicator split(int color, int key, String name) {
    Offer[] offers = meet(CollectiveCall.split(location()), null, new long[] {color, key});
    Part part =
        part(
            Arrays.stream(offers).flatMapToLong(offer -> Arrays.stream(offer.numbers())).toArray());
    ThreadBarrier barrier = group.child(group.phase(rank()), color, name, part.ranks());
    ThreadCommunicator child =
        new ThreadCommunicator(barrier, part.rank(), part.nodes(), failure, clock, this);
    children.add(child);
    return child;
  }

  @Override
  public void abort(String reason) {
    failure.fail("rank " + rankInWorld() + " aborted: " + reason, null);
  }

  @Override
  public String failure() {
    return failure.failed() ? failure.exception().getMessage() : null;
  }

  @Override
  public CommunicationException mismatch(String sentence) {
    failure.fail(sentence, null);
    return failure.exception();
  }

  @Override
  public void close() {
    leave("has closed " + name());
  }

  /**
   * If the world's links have a cost, this rank's virtual time: that of its communication plus that
   * passed to {@link #compute}. Otherwise the machine's clock.
   */
  @Override
  public double seconds() {
    return clock.free() ? super.seconds() : clock.seconds(rankInWorld());
  }

  /**
   * Advances this rank's virtual time by computing.
   *
   * @param what it computes
   */
  public void compute(String what, double seconds) {
    clock.advance(rankInWorld(), what, seconds);
  }

  /** Leaves this group and those split off it. */
  void leave(String why) {
    closed = true;
    group.leave(rank(), why);
    children.forEach(child -> child.leave(why));
  }

  private Offer[] meet(CollectiveCall call, MemorySegment memory, long[] numbers) {
    if (closed) {
      throw new IllegalStateException(call.describe() + " of " + name() + " after it was closed");
    }
    Offer[] offers = group.meet(rank(), new Offer(call, memory, numbers));
    count(call);
    return offers;
  }

  private static MemorySegment shared(Tensor tensor) {
    return view(tensor).memory();
  }

  /** The elements as other ranks read them: a host copy if the tensor is on a GPU. */
  private static HostView view(Tensor tensor) {
    HostView view = HostView.of(tensor);
    Require.that(
        view.memory().isAccessibleBy(ANOTHER_THREAD),
        "only the thread that made the memory of %s may touch it: other ranks cannot read it",
        tensor);
    view.read();
    return view;
  }

  private static MemorySegment[] parts(Offer[] offers, long offset, long bytes) {
    return Arrays.stream(offers)
        .map(offer -> offer.memory().asSlice(offset, bytes))
        .toArray(MemorySegment[]::new);
  }

  private static long bytes(long[] rows, long rowBytes) {
    return Arrays.stream(rows).sum() * rowBytes;
  }

  private static long[] starts(long[] rows, long rowBytes) {
    long[] starts = new long[rows.length];
    for (int i = 1; i < rows.length; i++) {
      starts[i] = starts[i - 1] + rows[i - 1] * rowBytes;
    }
    return starts;
  }
}
