package panamoe.comm.message;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.comm.CollectiveCall;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.GroupMember;
import panamoe.comm.Reduction;
import panamoe.comm.message.MessageGroup.Blocks;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * Ranks that are processes, over messages between every two of them. A library's own collectives do
 * not report which rank is missing, cannot be cancelled and do not add in rank order.
 */
public final class MessageCommunicator extends GroupMember {
  // Larger sums are split, which bounds the buffer for the other ranks' terms.
  private static final long SUM_BYTES = 8 << 20;

  private final MessageWorld world;
  private final Messages messages;
  private final Arena arena;
  private final MessageGroup group;
  // Host copies of a GPU's tensors. Kept after a failure: messages may still arrive in them.
  private final List<HostView> copies = new ArrayList<>();
  private final boolean root;
  private boolean closed;

  /**
   * @param arena of the messages and the group
   */
  private MessageCommunicator(
      MessageWorld world,
      Messages messages,
      Arena arena,
      MessageGroup group,
      int rank,
      int[] nodes,
      MessageCommunicator parent) {
    super(rank, group.ranks(), nodes, parent);
    this.world = world;
    this.messages = messages;
    this.arena = arena;
    this.group = group;
    this.root = parent == null;
  }

  /**
   * All ranks of the world; collective.
   *
   * @param messages between them
   * @param nodeName a number that all ranks on one machine share
   * @param arena of the messages, shared; the communicator closes it, unless messages may still
   *     arrive in it
   */
  public static Communicator of(
      MessageWorld world, Messages messages, int rank, int size, int nodeName, Arena arena) {
    int[] ranks = IntStream.range(0, size).toArray();
    MessageGroup group = new MessageGroup(world, messages, "world", rank, ranks, arena);
    long[] names = gather(group, CollectiveCall.allGatherNumbers("", new long[1]), rank, nodeName);
    int[] nodes = Arrays.stream(names).mapToInt(name -> number(name, names)).toArray();
    return new MessageCommunicator(world, messages, arena, group, rank, nodes, null);
  }

  /** The number of distinct names below this one. */
  private static int number(long name, long[] names) {
    return (int) Arrays.stream(names).filter(other -> other < name).distinct().count();
  }

  @Override
  public String name() {
    return group.name();
  }

  @Override
  public void allToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows) {
    CollectiveCall call =
        CollectiveCall.allToAll(this, location(), send, sendRows, receive, receiveRows);
    HostView received = view(receive);
    group.exchange(
        call,
        Blocks.adjoining(elements(send), call.bytes(sendRows)),
        Blocks.adjoining(received.memory(), call.bytes(receiveRows)));
    received.write(0, LongStream.of(receiveRows).sum() * call.rowBytes());
    done(call);
  }

  @Override
  public long[] allToAll(long[] send) {
    CollectiveCall call = CollectiveCall.allToAll(this, location(), send);
    long[] bytes = new long[size()];
    Arrays.fill(bytes, (long) send.length / size() * Long.BYTES);
    return group.lend(
        memory -> {
          MemorySegment received = memory.allocate(ValueLayout.JAVA_LONG, send.length);
          group.exchange(
              call,
              Blocks.adjoining(memory.allocateFrom(ValueLayout.JAVA_LONG, send), bytes),
              Blocks.adjoining(received, bytes));
          count(call);
          return received.toArray(ValueLayout.JAVA_LONG);
        });
  }

  @Override
  public void allReduce(Tensor tensor) {
    CollectiveCall call = CollectiveCall.allReduce(this, location(), tensor);
    HostView view = view(tensor);
    view.read();
    MemorySegment data = view.memory();
    // An element's terms are added in rank order, whichever rank adds them.
    long part = Math.max(1, SUM_BYTES / call.rowBytes());
    for (long from = 0; from == 0 || from < tensor.count(); from += part) {
      long count = Math.min(part, tensor.count() - from);
      MemorySegment summed = data.asSlice(from * call.rowBytes(), count * call.rowBytes());
      group.lend(memory -> sum(call, tensor, summed, memory));
    }
    view.write();
    done(call);
  }

  /**
   * Sums a part: every member adds its share and sends it to the others. If the part fits into
   * frames, every member adds all of it.
   */
  private MemorySegment sum(CollectiveCall call, Tensor tensor, MemorySegment part, Arena memory) {
    long count = part.byteSize() / call.rowBytes();
    MemorySegment terms =
        memory.allocate(part.byteSize() * (small(part) ? size() : 1) + size() * 64L, 64);
    if (small(part)) {
      Blocks all = Blocks.same(part, size());
      Blocks received = Blocks.adjoining(terms, all.bytes());
      group.exchange(call, all, received);
      Reduction.sum(tensor.dtype(), count, segments(received), part);
      return part;
    }
    long[] shares = new long[size()];
    Arrays.setAll(shares, i -> CollectiveCall.share(count, i, size()) * call.rowBytes());
    Blocks parts = Blocks.adjoining(part, shares);
    long[] mine = new long[size()];
    Arrays.fill(mine, shares[rank()]);
    Blocks received = Blocks.adjoining(terms, mine);
    group.exchange(call, parts, received);
    MemorySegment sum = parts.of(rank());
    Reduction.sum(tensor.dtype(), shares[rank()] / call.rowBytes(), segments(received), sum);
    group.exchange(call, Blocks.same(sum, size()), parts);
    return part;
  }

  private static boolean small(MemorySegment part) {
    return part.byteSize() <= Frames.ROOM;
  }

  @Override
  public double allReduce(double value) {
    CollectiveCall call = CollectiveCall.allReduceNumber(location());
    double sum = -0.0;
    for (long bits : gather(group, call, rank(), Double.doubleToRawLongBits(value))) {
      sum += Double.longBitsToDouble(bits);
    }
    count(call);
    return sum;
  }

  @Override
  public void allGather(Tensor send, Tensor receive, long[] rows) {
    CollectiveCall call = CollectiveCall.allGather(this, location(), send, receive, rows);
    HostView received = view(receive);
    group.exchange(
        call,
        Blocks.same(elements(send).asSlice(0, rows[rank()] * call.rowBytes()), size()),
        Blocks.adjoining(received.memory(), call.bytes(rows)));
    received.write(0, LongStream.of(rows).sum() * call.rowBytes());
    done(call);
  }

  @Override
  public long[] allGather(long... values) {
    CollectiveCall call = CollectiveCall.allGatherNumbers(location(), values);
    long[] gathered = gather(group, call, rank(), values);
    count(call);
    return gathered;
  }

  @Override
  public void reduceScatter(Tensor send, Tensor receive, long[] rows) {
    CollectiveCall call = CollectiveCall.reduceScatter(this, location(), send, receive, rows);
    long bytes = rows[rank()] * call.rowBytes();
    long[] mine = new long[size()];
    Arrays.fill(mine, bytes);
    MemorySegment terms = elements(send);
    HostView sum = view(receive);
    group.lend(
        memory -> {
          Blocks received = Blocks.adjoining(memory.allocate(bytes * size(), 64), mine);
          group.exchange(call, Blocks.adjoining(terms, call.bytes(rows)), received);
          Reduction.sum(
              send.dtype(), bytes / send.dtype().bytes(), segments(received), sum.memory());
          return receive;
        });
    sum.write(0, bytes);
    done(call);
  }

  @Override
  public byte[] broadcast(byte[] bytes, int root) {
    CollectiveCall call = CollectiveCall.broadcastBytes(this, location(), bytes, root);
    return group.lend(
        memory -> {
          MemorySegment length = memory.allocateFrom(ValueLayout.JAVA_LONG, call.rowBytes());
          fromRoot(call, length);
          MemorySegment data = memory.allocate(length.get(ValueLayout.JAVA_LONG, 0));
          if (rank() == root) {
            data.copyFrom(MemorySegment.ofArray(bytes));
          }
          fromRoot(call, data);
          count(call);
          return data.toArray(ValueLayout.JAVA_BYTE);
        });
  }

  /** Copies root's data into {@code data} on every member. */
  private void fromRoot(CollectiveCall call, MemorySegment data) {
    Blocks nothing = new Blocks(data, new long[size()], new long[size()]);
    long[] ofRoot = new long[size()];
    if (rank() == call.root()) {
      Blocks all = Blocks.same(data, size());
      all.bytes()[rank()] = 0;
      group.exchange(call, all, nothing);
    } else {
      ofRoot[call.root()] = data.byteSize();
      group.exchange(call, nothing, new Blocks(data, new long[size()], ofRoot));
    }
  }

  @Override
  public void barrier() {
    group.exchange(CollectiveCall.barrier(location()), nothing(), nothing());
  }

  private Blocks nothing() {
    return new Blocks(MemorySegment.NULL, new long[size()], new long[size()]);
  }

  @Override
  public Communicator split(int color, int key, String name) {
    long[] wishes = gather(group, CollectiveCall.split(location()), rank(), color, key);
    Part part = part(wishes);
    Arena partArena = Arena.ofShared();
    // Every member has reached this line: gather() above is a barrier, which a library's collective
    // split needs.
    Messages ofPart = messages.split(part.members(), part.rank(), partArena);
    MessageGroup partGroup =
        new MessageGroup(world, ofPart, name, part.rank(), part.ranks(), partArena);
    return new MessageCommunicator(
        world, ofPart, partArena, partGroup, part.rank(), part.nodes(), this);
  }

  @Override
  public void abort(String reason) {
    world.heartbeat().fail("rank " + rankInWorld() + " aborted: " + reason);
  }

  @Override
  public String failure() {
    return world.heartbeat().failure();
  }

  @Override
  public CommunicationException mismatch(String sentence) {
    return group.failure(sentence);
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    boolean over = world.heartbeat().failure() != null || world.isClosed();
    try {
      if (root) {
        world.close();
      } else if (!over) {
        messages.close();
      }
    } finally {
      if (!world.writesAfterFailure() || !root && !over) {
        arena.close();
      }
    }
  }

  private static long[] gather(MessageGroup group, CollectiveCall call, int rank, long... values) {
    int members = group.ranks().length;
    return group.lend(
        memory -> {
          Blocks mine = Blocks.same(memory.allocateFrom(ValueLayout.JAVA_LONG, values), members);
          MemorySegment all =
              memory.allocate(ValueLayout.JAVA_LONG, (long) members * values.length);
          group.exchange(call, mine, Blocks.adjoining(all, mine.bytes()));
          return all.toArray(ValueLayout.JAVA_LONG);
        });
  }

  private MemorySegment elements(Tensor tensor) {
    HostView view = view(tensor);
    view.read();
    return view.memory();
  }

  private HostView view(Tensor tensor) {
    HostView view = HostView.of(tensor);
    if (!tensor.onHost()) {
      copies.add(view);
    }
    return view;
  }

  private void done(CollectiveCall call) {
    copies.clear();
    count(call);
  }

  private MemorySegment[] segments(Blocks blocks) {
    return IntStream.range(0, size()).mapToObj(blocks::of).toArray(MemorySegment[]::new);
  }
}
