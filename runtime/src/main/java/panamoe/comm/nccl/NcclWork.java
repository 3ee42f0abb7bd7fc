package panamoe.comm.nccl;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToIntFunction;
import panamoe.comm.CommunicationException;
import panamoe.tensor.TensorDevice;

/**
 * The work of all groups of a rank in the streams of its GPU, enqueued in order with the streams'
 * kernels. A wait for a stream waits here first, so that a lost rank becomes a failure instead of
 * an endless wait. The rank's thread enqueues, any thread waits.
 */
final class NcclWork {
  /** A group's last work that no thread has waited for. */
  private record Running(NcclDevice stream, String function) {}

  private final Map<NcclGroup, Running> running = new ConcurrentHashMap<>();
  private final Map<TensorDevice, NcclDevice> others = new HashMap<>();

  /** Makes waits for the stream wait here first. */
  NcclDevice watch(NcclDevice stream) {
    stream.beforeWaiting(() -> await(stream));
    return stream;
  }

  /** Another stream of the same GPU. */
  NcclDevice on(TensorDevice stream, NcclDevice gpu) {
    return others.computeIfAbsent(stream, other -> watch(gpu.on(other)));
  }

  /**
   * Enqueues work of a group by a call of NCCL with the stream.
   *
   * @throws CommunicationException if NCCL refuses it, or the group has failed
   */
  void enqueue(
      NcclGroup group, NcclDevice stream, String function, ToIntFunction<MemorySegment> call) {
    Running last = new Running(stream, function);
    stream.enqueue(
        () -> running.put(group, last),
        () -> group.call(function, () -> call.applyAsInt(stream.stream())));
  }

  /**
   * Waits until all work in the stream is done, including work of other streams that it waits for.
   *
   * @throws CommunicationException if NCCL fails or does not end in time; all groups have failed
   *     then
   */
  void await(NcclDevice stream) {
    Map<NcclGroup, Running> before = new HashMap<>(running);
    try {
      running.forEach((group, last) -> group.await(last.function, () -> finished(stream)));
    } catch (CommunicationException e) {
      running.keySet().forEach(group -> group.abandon(e.getMessage()));
      throw e;
    }
    // Work that another thread has enqueued since then stays.
    before.values().removeIf(last -> last.stream != stream);
    before.forEach(
        (group, last) -> running.computeIfPresent(group, (_, now) -> now == last ? null : now));
  }

  /** Ends all waits. Any thread may call it. */
  void stop(String reason) {
    running.keySet().forEach(group -> group.stop(reason));
  }

  private boolean finished(NcclDevice stream) {
    running.forEach((group, last) -> group.requireHealthy(last.function));
    return stream.finished();
  }
}
