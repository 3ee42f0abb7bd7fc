package panamoe.comm.nccl;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToIntFunction;
import panamoe.comm.CommunicationException;
import panamoe.tensor.TensorDevice;

/**
 * The work of all of a rank's groups in the streams of its card. It is enqueued and not awaited, in
 * order with the streams' kernels; whoever waits for a stream waits here first, so that a lost rank
 * becomes a failure instead of a wait without end. The rank's thread enqueues, any thread waits.
 */
final class NcclWork {
  /** A group's last work that nobody has waited for. */
  private record Running(NcclDevice stream, String function) {}

  private final Map<NcclGroup, Running> running = new ConcurrentHashMap<>();
  private final Map<TensorDevice, NcclDevice> others = new HashMap<>();

  /** Lets whoever waits for the stream wait here first. */
  NcclDevice watch(NcclDevice stream) {
    stream.beforeWaiting(() -> await(stream));
    return stream;
  }

  /** Another stream of the same card. */
  NcclDevice on(TensorDevice stream, NcclDevice card) {
    return others.computeIfAbsent(stream, other -> watch(card.on(other)));
  }

  /**
   * Enqueues work of a group by a call of NCCL, which gets the stream.
   *
   * @throws CommunicationException if NCCL refuses it, or the group has failed
   */
  void enqueue(
      NcclGroup group, NcclDevice stream, String function, ToIntFunction<MemorySegment> call) {
    running.put(group, new Running(stream, function));
    group.call(function, () -> call.applyAsInt(stream.stream()));
  }

  /**
   * Waits until all work in the stream is done, which may wait for another stream.
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
    // What another thread has enqueued meanwhile stays.
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
