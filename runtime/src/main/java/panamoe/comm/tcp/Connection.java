package panamoe.comm.tcp;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.GatheringByteChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.locks.ReentrantLock;
import panamoe.comm.message.MessageException;
import panamoe.io.Words;

/**
 * The connection to one rank. It carries the messages of all groups, one after the other: group,
 * tag and number of bytes (24 bytes together), then the bytes.
 *
 * <p>Threads that wait for their messages move the bytes; there is no I/O thread. So a message is
 * read and written by the thread that requested it, in its own memory, which is not accessed after
 * the wait has failed. A message that arrives before it is awaited goes through a buffer, which
 * grows with its bytes; one that is longer than expected is read and dropped, so that those after
 * it arrive. Thread-safe.
 */
final class Connection {
  private static final int HEADER_BYTES = 3 * Long.BYTES;
  private static final long LONGEST_PIECE = 1 << 30; // a ByteBuffer counts in int
  private static final int SMALL_BYTES = 1 << 16;
  // Memory that a message gets before any of its bytes has come, unless it is awaited.
  private static final long BELIEVED_BYTES = 1 << 20;
  private static final int DISCARDED_BYTES = 1 << 16;

  /** A started message; used by the thread that started it. */
  abstract static class Message {
    final Thread owner = Thread.currentThread();
    final MemorySegment memory;
    boolean complete;
    String refused; // why it cannot be completed

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

    /**
     * @throws MessageException if the other side sent a longer message than this one
     */
    void requireNotRefused() {
      if (refused != null) {
        throw new MessageException(refused);
      }
    }
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
      if (!complete && refused == null) {
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

  /** A message that is being read. */
  private static final class Incoming {
    final Box box;
    final long bytes;
    Awaited awaited; // whose memory it goes into; null for a buffer
    MemorySegment memory; // as much as has come may fill it; null if the message is discarded
    long received;

    Incoming(Box box, long bytes) {
      this.box = box;
      this.bytes = bytes;
    }

    /** More memory for a message that no one awaits: what its header says may be wrong. */
    void grow() {
      MemorySegment larger = Arena.ofAuto().allocate(Math.min(bytes, 4 * memory.byteSize()));
      memory = larger.copyFrom(memory);
    }
  }

  private final int rank;
  private final GatheringByteChannel out;
  private final ReadableByteChannel in;
  private final ReentrantLock writing = new ReentrantLock();
  private final Queue<Outgoing> outgoing = new ArrayDeque<>();
  private final ReentrantLock reading = new ReentrantLock();
  private final Map<Address, Box> boxes = new HashMap<>();
  private final ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
  private Incoming incoming; // null between messages

  private <C extends GatheringByteChannel & ReadableByteChannel> Connection(int rank, C channel) {
    this.rank = rank;
    this.out = channel;
    this.in = channel;
  }

  /**
   * @param rank in the world, at the other end
   * @param channel whose handshake is done
   * @param keys of its encryption; null for none
   */
  static Connection of(int rank, SocketChannel channel, Handshake.Keys keys) throws IOException {
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    channel.configureBlocking(false);
    return keys == null
        ? new Connection(rank, channel)
        : new Connection(rank, new SealedChannel(channel, keys));
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
    Handshake.close(out);
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
        long written = out.write(new ByteBuffer[] {next.header, data});
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
    refuse(mine);
    while (!mine.complete && mine.refused == null && (incoming != null || fill(header))) {
      if (incoming == null) {
        incoming = begin();
      }
      if (incoming.awaited != null && !incoming.awaited.mine() || !read(incoming)) {
        return;
      }
      if (incoming.awaited != null) {
        incoming.awaited.complete = true;
      } else if (incoming.memory != null) {
        incoming.box.early.add(incoming.memory);
        deliver(incoming.box);
      }
      incoming = null;
    }
  }

  /** Reads the message's available bytes; returns whether it has ended. */
  private boolean read(Incoming message) throws IOException {
    while (message.received < message.bytes) {
      if (message.memory != null && message.received == message.memory.byteSize()) {
        message.grow();
      }
      ByteBuffer data =
          message.memory == null
              ? ByteBuffer.allocate(
                  (int) Math.min(DISCARDED_BYTES, message.bytes - message.received))
              : piece(message.memory, message.received);
      int before = data.remaining();
      boolean full = fill(data);
      message.received += before - data.remaining();
      if (!full || message.memory == null && message.received < message.bytes) {
        return false; // a rank that sends without an end holds no thread
      }
    }
    return true;
  }

  private static ByteBuffer piece(MemorySegment memory, long from) {
    return memory.asSlice(from, Math.min(LONGEST_PIECE, memory.byteSize() - from)).asByteBuffer();
  }

  /** Reads available bytes; returns whether the buffer is full. */
  private boolean fill(ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      int count = in.read(buffer);
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
    Incoming message = new Incoming(boxes.computeIfAbsent(address, _ -> new Box()), bytes);
    Awaited first = message.box.early.isEmpty() ? message.box.awaited.peek() : null;
    if (first == null || !first.mine()) {
      message.memory =
          bytes <= SMALL_BYTES
              ? MemorySegment.ofArray(new byte[(int) bytes])
              : Arena.ofAuto().allocate(Math.min(bytes, BELIEVED_BYTES));
    } else if (bytes <= first.memory.byteSize()) {
      message.awaited = message.box.awaited.remove();
      message.memory = first.memory.asSlice(0, bytes);
    } else {
      refuse(first, bytes);
    }
    return message;
  }

  /** Discards the rest of a message that this thread now awaits, if it is too long. */
  private void refuse(Awaited mine) {
    if (incoming != null
        && incoming.box == mine.box
        && incoming.awaited == null
        && incoming.memory != null
        && mine.box.early.isEmpty()
        && mine.box.awaited.peek() == mine
        && incoming.bytes > mine.memory.byteSize()) {
      incoming.memory = null;
      refuse(mine, incoming.bytes);
    }
  }

  private void refuse(Awaited message, long bytes) {
    message.refused =
        Words.of(
            "rank %s sent a message of %s bytes where at most %s were expected",
            rank, bytes, message.memory.byteSize());
    message.box.awaited.remove();
  }

  /** Copies this thread's messages out of their buffers. */
  private void deliver(Box box) {
    while (!box.early.isEmpty() && !box.awaited.isEmpty() && box.awaited.peek().mine()) {
      Awaited first = box.awaited.peek();
      MemorySegment early = box.early.remove();
      if (early.byteSize() > first.memory.byteSize()) {
        refuse(first, early.byteSize());
        return;
      }
      MemorySegment.copy(early, 0, first.memory, 0, early.byteSize());
      first.complete = true;
      box.awaited.remove();
    }
  }
}
