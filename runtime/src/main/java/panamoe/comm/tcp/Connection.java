package panamoe.comm.tcp;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.locks.ReentrantLock;
import panamoe.comm.message.MessageException;

/**
 * The connection to one rank. It carries the messages of all groups, one after the other: group,
 * tag and number of bytes (24 bytes together), then the bytes.
 *
 * <p>Threads that wait for their messages move the bytes; there is no I/O thread. So a message is
 * read and written by the thread that requested it, in its own memory, which is not accessed after
 * the wait has failed. A message that arrives before it is awaited goes through a buffer.
 * Thread-safe.
 */
final class Connection {
  private static final int HEADER_BYTES = 3 * Long.BYTES;
  private static final long LONGEST_PIECE = 1 << 30; // a ByteBuffer counts in int
  private static final int SMALL_BYTES = 1 << 16;

  /** A started message; used by the thread that started it. */
  abstract static class Message {
    final Thread owner = Thread.currentThread();
    final MemorySegment memory;
    boolean complete;

    Message(MemorySegment memory) {
      this.memory = memory;
    }

    boolean mine() {
      return owner == Thread.currentThread();
    }

    /**
     * Whether the message is complete; moves what can be moved without waiting.
     *
     * @throws MessageException if the connection has ended
     */
    abstract boolean done();
  }

  private final class Outgoing extends Message {
    final ByteBuffer header;
    long moved;

    Outgoing(MemorySegment data, ByteBuffer header) {
      super(data);
      this.header = header;
    }

    @Override
    boolean done() {
      if (!complete) {
        move(writing, Connection.this::write);
      }
      return complete;
    }
  }

  private final class Awaited extends Message {
    final Box box;

    Awaited(MemorySegment memory, Box box) {
      super(memory);
      this.box = box;
    }

    @Override
    boolean done() {
      if (!complete) {
        move(reading, () -> read(this));
      }
      return complete;
    }
  }

  private record Address(long group, int tag) {}

  /** The messages of one group and tag: those awaited, and those that came before. */
  private static final class Box {
    final Queue<Awaited> awaited = new ArrayDeque<>();
    final Queue<MemorySegment> early = new ArrayDeque<>();
  }

  /**
   * A message that is being read.
   *
   * @param awaited whose memory it is; null for a buffer
   */
  private record Incoming(Box box, Awaited awaited, MemorySegment memory) {}

  private final int rank;
  private final SocketChannel channel;
  private final ReentrantLock writing = new ReentrantLock();
  private final Queue<Outgoing> outgoing = new ArrayDeque<>();
  private final ReentrantLock reading = new ReentrantLock();
  private final Map<Address, Box> boxes = new HashMap<>();
  private final ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
  private Incoming incoming; // null between messages
  private long received; // of the incoming message's bytes

  /**
   * @param rank in the world, at the other end
   * @param channel non-blocking
   */
  Connection(int rank, SocketChannel channel) {
    this.rank = rank;
    this.channel = channel;
  }

  /** Starts to send; the memory is read whenever a thread polls whether the message is done. */
  Message send(long group, int tag, MemorySegment data) {
    Outgoing message =
        new Outgoing(
            data,
            ByteBuffer.allocate(HEADER_BYTES)
                .putLong(group)
                .putLong(tag)
                .putLong(data.byteSize())
                .flip());
    writing.lock();
    try {
      outgoing.add(message);
    } finally {
      writing.unlock();
    }
    return message;
  }

  /** Starts to receive a message of at most the memory's size. */
  Message receive(long group, int tag, MemorySegment memory) {
    reading.lock();
    try {
      Box box = boxes.computeIfAbsent(new Address(group, tag), _ -> new Box());
      Awaited message = new Awaited(memory, box);
      box.awaited.add(message);
      return message;
    } finally {
      reading.unlock();
    }
  }

  /** Forgets a group whose messages are complete. */
  void forget(long group) {
    reading.lock();
    try {
      boxes.keySet().removeIf(address -> address.group == group);
    } finally {
      reading.unlock();
    }
  }

  void close() {
    Handshake.close(channel);
  }

  private interface Work {
    void run() throws IOException;
  }

  /** Reads or writes the connection, unless another thread is doing so. */
  private void move(ReentrantLock side, Work work) {
    if (!side.tryLock()) {
      return;
    }
    try {
      work.run();
    } catch (ClosedChannelException e) {
      throw new MessageException("the connection to rank " + rank + " was closed by this rank");
    } catch (IOException e) {
      throw new MessageException("the connection to rank " + rank + " ended: " + e.getMessage());
    } finally {
      side.unlock();
    }
  }

  /** Writes this thread's messages, up to the first one of another thread. */
  private void write() throws IOException {
    for (Outgoing next = outgoing.peek(); next != null && next.mine(); next = outgoing.peek()) {
      while (next.header.hasRemaining() || next.moved < next.memory.byteSize()) {
        ByteBuffer data = piece(next.memory, next.moved);
        int before = data.remaining();
        long written = channel.write(new ByteBuffer[] {next.header, data});
        next.moved += before - data.remaining();
        if (written == 0) {
          return;
        }
      }
      next.complete = true;
      outgoing.remove();
    }
  }

  /**
   * Reads messages until this thread's is complete, or one goes into the memory of another thread.
   * Later bytes stay in the socket: their destination may be known when they are read.
   */
  private void read(Awaited mine) throws IOException {
    deliver(mine.box);
    while (!mine.complete && (incoming != null || fill(header))) {
      if (incoming == null) {
        incoming = begin();
        received = 0;
      }
      if (incoming.awaited != null && !incoming.awaited.mine()) {
        return;
      }
      while (received < incoming.memory.byteSize()) {
        ByteBuffer data = piece(incoming.memory, received);
        int before = data.remaining();
        boolean full = fill(data);
        received += before - data.remaining();
        if (!full) {
          return;
        }
      }
      if (incoming.awaited != null) {
        incoming.awaited.complete = true;
      } else {
        incoming.box.early.add(incoming.memory);
        deliver(incoming.box);
      }
      incoming = null;
    }
  }

  private static ByteBuffer piece(MemorySegment memory, long from) {
    return memory.asSlice(from, Math.min(LONGEST_PIECE, memory.byteSize() - from)).asByteBuffer();
  }

  /** Reads available bytes; returns whether the buffer is full. */
  private boolean fill(ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      int count = channel.read(buffer);
      if (count < 0) {
        throw new IOException("the other side closed it");
      }
      if (count == 0) {
        return false;
      }
    }
    return true;
  }

  /** Decides where the message goes after its header has been read. */
  private Incoming begin() throws IOException {
    header.flip();
    Address address = new Address(header.getLong(), (int) header.getLong());
    long bytes = header.getLong();
    header.clear();
    if (bytes < 0) {
      throw new IOException("a message of " + bytes + " bytes came");
    }
    Box box = boxes.computeIfAbsent(address, _ -> new Box());
    Awaited first = box.early.isEmpty() ? box.awaited.peek() : null;
    if (first != null && first.mine() && bytes <= first.memory.byteSize()) {
      return new Incoming(box, box.awaited.remove(), first.memory.asSlice(0, bytes));
    }
    return new Incoming(
        box,
        null,
        bytes <= SMALL_BYTES
            ? MemorySegment.ofArray(new byte[(int) bytes])
            : Arena.ofAuto().allocate(bytes));
  }

  /**
   * Copies this thread's messages out of their buffers. One that is longer than expected stays: the
   * comparison of the members' calls reports it.
   */
  private void deliver(Box box) {
    while (!box.early.isEmpty() && !box.awaited.isEmpty()) {
      Awaited first = box.awaited.peek();
      if (!first.mine() || box.early.peek().byteSize() > first.memory.byteSize()) {
        return;
      }
      MemorySegment early = box.early.remove();
      MemorySegment.copy(early, 0, first.memory, 0, early.byteSize());
      first.complete = true;
      box.awaited.remove();
    }
  }
}
