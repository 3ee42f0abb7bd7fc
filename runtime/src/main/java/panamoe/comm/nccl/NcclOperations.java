package panamoe.comm.nccl;

import static panamoe.bindings.NativeMemory.pointer;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
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
  // Device memory for the terms of sums, and for a sum in float32; kept, because enqueued work uses
  // it.
  private MemorySegment terms = MemorySegment.NULL;

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
          for (int i = 0; i < group.size() && result == Nccl.ncclSuccess(); i++) {
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
            if (receive[peer].byteSize() > 0 && result == Nccl.ncclSuccess()) {
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
          return result == Nccl.ncclSuccess() ? Nccl.ncclGroupEnd() : result;
        });
  }

  /** Sends each member its part of the sum and adds the terms of this member's part. */
  void addTerms(DType dtype, MemorySegment[] parts, MemorySegment target) {
    long bytes = target.byteSize();
    long count = bytes / dtype.bytes();
    MemorySegment memory = terms(count * Float.BYTES + bytes * group.size());
    MemorySegment[] each = new MemorySegment[group.size()];
    Arrays.setAll(each, i -> memory.asSlice(count * Float.BYTES + i * bytes, bytes));
    exchange(parts, each);
    device.sum(dtype, count, each, memory, target);
  }

  /** Ends all waits. Any thread may call it. */
  void stop(String reason) {
    work.stop(reason);
    group.stop(reason);
  }

  void close() {
    work.await(device);
    freeTerms();
    group.close();
  }

  private MemorySegment terms(long bytes) {
    if (terms.byteSize() < bytes) {
      freeTerms();
      terms = device.memory().allocate(bytes + bytes / 4);
    }
    return terms;
  }

  private void freeTerms() {
    if (terms.byteSize() > 0) {
      work.await(device);
      device.memory().free(terms);
      terms = MemorySegment.NULL;
    }
  }

  private void run(String function, ToIntFunction<MemorySegment> call) {
    work.enqueue(group, device, function, call);
  }
}
