package panamoe.comm.nccl;

import static panamoe.bindings.NativeMemory.pointer;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.function.ToIntFunction;
import panamoe.bindings.nccl.Nccl;
import panamoe.comm.Communicator;
import panamoe.tensor.DType;
import panamoe.tensor.TensorDevice;

/**
 * A member's part in the transfers and sums of one group: work in its device's stream, by NCCL and
 * by the device's own sum, without waiting. Used by the rank's thread; all members make the same
 * calls.
 */
final class NcclOperations {
  private final NcclWork work;
  private final NcclGroup group;
  private NcclDevice device;
  // Device memory for the terms of sums, and for a sum in float32: the largest block, and the
  // earlier ones, which enqueued work and captured graphs use.
  private final Deque<MemorySegment> terms = new ArrayDeque<>();

  NcclOperations(NcclWork work, NcclDevice device, NcclGroup group) {
    this.work = work;
    this.device = device;
    this.group = group;
  }

  /** The operations of the members with this color, which is not negative. */
  NcclOperations split(int color, int key, Communicator childControl) {
    return new NcclOperations(work, device, group.split(color, key, childControl));
  }

  /** Enqueues later work in the stream of this device, which has the same memory. */
  void enqueueOn(TensorDevice stream) {
    device = work.on(stream, device);
  }

  /** Sums {@code count} float32 of every member in place, in NCCL's order. */
  void allReduce(MemorySegment data, long count) {
    run(
        "ncclAllReduce",
        stream ->
            Nccl.ncclAllReduce(
                pointer(data),
                pointer(data),
                count,
                Nccl.ncclFloat32(),
                Nccl.ncclSum(),
                group.handle(),
                stream));
  }

  /** Sums float32 like {@link #allReduce}; all members receive equally many elements. */
  void reduceScatter(MemorySegment send, MemorySegment receive, long count) {
    run(
        "ncclReduceScatter",
        stream ->
            Nccl.ncclReduceScatter(
                pointer(send),
                pointer(receive),
                count,
                Nccl.ncclFloat32(),
                Nccl.ncclSum(),
                group.handle(),
                stream));
  }

  /** Concatenates the members' blocks, all of the size of {@code own}. */
  void allGather(MemorySegment own, MemorySegment all) {
    run(
        "ncclAllGather",
        stream ->
            Nccl.ncclAllGather(
                pointer(own),
                pointer(all),
                own.byteSize(),
                Nccl.ncclUint8(),
                group.handle(),
                stream));
  }

  /** Sends a block to each member and receives one from each. */
  void exchange(MemorySegment[] send, MemorySegment[] receive) {
    run(
        "ncclSend and ncclRecv",
        stream -> {
          int result = Nccl.ncclGroupStart();
          for (int i = 0; i < group.size() && NcclGroup.served(result); i++) {
            int peer = (group.rank() + i) % group.size();
            if (send[peer].byteSize() > 0) {
              result =
                  Nccl.ncclSend(
                      pointer(send[peer]),
                      send[peer].byteSize(),
                      Nccl.ncclUint8(),
                      peer,
                      group.handle(),
                      stream);
            }
            if (receive[peer].byteSize() > 0 && NcclGroup.served(result)) {
              result =
                  Nccl.ncclRecv(
                      pointer(receive[peer]),
                      receive[peer].byteSize(),
                      Nccl.ncclUint8(),
                      peer,
                      group.handle(),
                      stream);
            }
          }
          int ended = Nccl.ncclGroupEnd(); // also after a failure, or the thread stays in the group
          return NcclGroup.served(result) ? ended : result;
        });
  }

  /** Sends each member its part of the sum and adds the terms of this member's part. */
  void addTerms(DType dtype, MemorySegment[] parts, MemorySegment target) {
    long bytes = target.byteSize();
    long count = bytes / dtype.bytes();
    reserve(dtype, bytes);
    MemorySegment memory = terms.isEmpty() ? MemorySegment.NULL : terms.getLast();
    MemorySegment[] each = new MemorySegment[group.size()];
    Arrays.setAll(each, i -> memory.asSlice(count * Float.BYTES + i * bytes, bytes));
    exchange(parts, each);
    device.enqueue(() -> {}, () -> device.sum(dtype, count, each, memory, target));
  }

  /**
   * Allocates the memory of {@link #addTerms}. Before the ranks agree on a call: freeing memory may
   * wait for the work of other ranks, which must not wait for this rank's part in the call.
   *
   * @param bytes of this member's part
   */
  void reserve(DType dtype, long bytes) {
    long needed = bytes / dtype.bytes() * Float.BYTES + bytes * group.size();
    long most = terms.isEmpty() ? 0 : terms.getLast().byteSize();
    if (most < needed) {
      terms.add(device.memory().allocate(Math.max(needed, 2 * most)));
    }
  }

  /** Ends all waits. Any thread may call it. */
  void stop(String reason) {
    work.stop(reason);
    group.stop(reason);
  }

  void close() {
    work.await(device);
    terms.forEach(device.memory()::free);
    terms.clear();
    group.close();
  }

  private void run(String function, ToIntFunction<MemorySegment> call) {
    work.enqueue(group, device, function, call);
  }
}
