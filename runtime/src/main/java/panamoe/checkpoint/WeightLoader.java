package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.DoubleConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.backend.GemmKernels;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Reads weights from files into their targets: all of a checkpoint once and in order, or only the
 * share of one rank. Threads take pieces of about 130,000 elements, whole rows of one target: a
 * piece is read, decoded if the runtime lacks the stored dtype, added to its file's checksum,
 * checked for non-finite values, and packed or rounded while it is in the caches. So a load needs
 * memory for a few pieces per thread in addition to its targets.
 */
public final class WeightLoader {
  private static final long PIECE_ELEMENTS = 1 << 17;

  private final Backend backend;
  private final boolean checked;
  private final DoubleConsumer progress;
  private final List<ReadTask> pieces = new ArrayList<>();
  private int[] checksums;
  private long[] nonFinite;
  private long stagedElements;
  private final AtomicInteger next = new AtomicInteger();
  private final AtomicLong done = new AtomicLong();
  private long bytes;
  private final AtomicReference<Throwable> failure = new AtomicReference<>();

  /**
   * @param backend of the targets, whose kernels pack and round
   * @param checked whether {@link #checksum} will be called
   * @param progress gets the part of the bytes that is read, 0 to 1, from any thread
   */
  WeightLoader(Backend backend, boolean checked, DoubleConsumer progress) {
    this.backend = backend;
    this.checked = checked;
    this.progress = progress;
  }

  /**
   * Loads weights without a manifest, such as a released model's.
   *
   * @param place for messages
   * @param sources of every weight of the model
   * @param destinations targets of this rank's weights, of the sources' shapes
   * @param backend of the targets
   * @param strict rejects NaN and infinite values, after reading; otherwise they give one warning
   * @param progress gets the part of the bytes that is read, 0 to 1, from any thread
   * @throws CheckpointException if a file cannot be read
   */
  public static LoadReport load(
      Path place,
      Map<String, RowSource> sources,
      Map<String, LoadTarget> destinations,
      Backend backend,
      boolean strict,
      DoubleConsumer progress) {
    WeightLoader loader = new WeightLoader(backend, false, progress);
    destinations.forEach((name, to) -> loader.add(name, sources.get(name), to));
    loader.run();
    return loader.report(place, destinations, strict, List.of());
  }

  /**
   * Whether blocks are not decoded: if the target has their dtype, or for a checksum, which is over
   * the file's bytes.
   */
  private RowSource asRead(RowSource source, LoadTarget to) {
    DType held = to == null ? null : to.target().dtype();
    return source.inBlocks().filter(it -> checked || it.dtype() == held).orElse(source);
  }

  /**
   * Adds a weight.
   *
   * @param to of the source's shape; null to read only for the checksum
   */
  void add(String name, RowSource stored, LoadTarget to) {
    RowSource source = asRead(stored, to);
    long[] shape = to == null ? new long[] {source.rows(), source.columns()} : to.shareShape();
    long count = Tensor.count(shape);
    if (count == 0) {
      return;
    }
    long rows = shape.length == 0 ? 1 : shape[0];
    long rowBytes = source.dtype().bytes(count / rows);
    long block = shape.length == 3 ? 1 : GemmKernels.PACKED_ROWS; // a matrix of a stack, or rows
    long step = Math.max(1, PIECE_ELEMENTS / (count / rows) / block) * block;
    for (long from = 0; from < rows; from += step) {
      long end = Math.min(rows, from + step);
      pieces.add(new ReadTask(name, source, to, from, end, (end - from) * rowBytes));
    }
  }

  /**
   * Reads everything on the backend's number of threads, including this one.
   *
   * @throws CheckpointException if a file cannot be read
   */
  void run() {
    checksums = new int[pieces.size()];
    nonFinite = new long[pieces.size()];
    bytes = pieces.stream().mapToLong(ReadTask::bytes).sum();
    stagedElements = pieces.stream().mapToLong(ReadTask::elements).max().orElse(0);
    backend.synchronize(); // kernels that write targets must be done before they are read into
    ThreadFactory threads = Thread.ofPlatform().daemon().name("panamoe-load-", 0).factory();
    try (ExecutorService helpers = Executors.newCachedThreadPool(threads)) {
      int count = Math.min(backend.threads(), pieces.size());
      for (int i = 1; i < count; i++) {
        helpers.execute(this::takePieces);
      }
      takePieces();
    }
    switch (failure.get()) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
    }
  }

  private void takePieces() {
    try (Backend stream = backend.secondStream();
        TensorScope scope = TensorScope.confined(stream)) {
      Worker worker = new Worker(stream, scope);
      for (int i = next.getAndIncrement();
          i < pieces.size() && failure.get() == null;
          i = next.getAndIncrement()) {
        worker.take(i);
        progress.accept((double) done.addAndGet(pieces.get(i).bytes()) / bytes);
      }
    } catch (RuntimeException | Error e) {
      // An interrupted thread closes the files of all threads: report the interruption, not the
      // closed file of another.
      boolean cause = e.getCause() instanceof ClosedByInterruptException;
      failure.updateAndGet(first -> first == null || cause ? e : first);
    }
  }

  /** The state of one thread: a stream and staging buffers. */
  private final class Worker {
    private final Backend stream;
    private final StagingBuffers stages;

    Worker(Backend stream, TensorScope scope) {
      this.stream = stream;
      this.stages = new StagingBuffers(stream, scope, stagedElements);
    }

    void take(int index) {
      ReadTask piece = pieces.get(index);
      LoadTarget to = piece.to();
      // A GPU's memory is written by the worker's own stream, in order with its kernels.
      boolean direct = to != null && stream.onHost() && to.direct(piece.dtype());
      Tensor source =
          direct ? piece.part(to.target(), backend) : stages.of(piece.dtype(), piece.shape());
      HostView view = stages.onHost(source);
      MemorySegment bytes = view.memory().asSlice(0, source.bytes());
      piece.read(bytes);
      if (checked) {
        checksums[index] = Crc32c.of(bytes);
      }
      if (to == null) {
        return;
      }
      nonFinite[index] = NonFinite.count(piece.dtype(), bytes);
      view.write(0, source.bytes());
      if (!direct) {
        Tensor target = piece.part(to.target(), backend);
        boolean rounded = source.dtype() != target.dtype();
        Tensor values = rounded && source.dtype().isBlocks() ? decode(source, bytes) : source;
        if (rounded && target.dtype().isBlocks()) {
          quantize(piece, values, target);
        } else {
          put(values, target);
        }
      }
      stream.synchronize(); // before the staging buffers are reused
    }

    private Tensor decode(Tensor blocks, MemorySegment bytes) {
      Tensor floats = stages.of(DType.FLOAT32, blocks.shape());
      HostView view = stages.onHost(floats);
      blocks.dtype().blocks().decode(bytes, view.memory().asSlice(0, floats.bytes()));
      view.write(0, floats.bytes());
      return floats;
    }

    private void put(Tensor source, Tensor target) {
      if (!target.packed() && source.dtype() == target.dtype()) {
        stream.copy(source, target);
      } else if (!target.packed()) {
        stream.cast(source, target);
      } else if (source.dtype() == target.dtype()) {
        stream.pack(source, target);
      } else {
        // Rounds before packing: packing without rounding moves vectors, not elements.
        Tensor rounded = stages.of(target.dtype(), source.shape());
        stream.cast(source, rounded);
        stream.pack(rounded, target);
      }
    }

    private void quantize(ReadTask piece, Tensor source, Tensor target) {
      Tensor floats = source;
      if (source.dtype() != DType.FLOAT32) {
        floats = stages.of(DType.FLOAT32, source.shape());
        stream.cast(source, floats);
        stream.synchronize();
        stages.onHost(floats).read(0, floats.bytes());
      }
      Tensor blocks = stages.of(target.dtype(), source.shape());
      HostView rounded = stages.onHost(blocks);
      try {
        MemorySegment numbers = stages.onHost(floats).memory().asSlice(0, floats.bytes());
        blocks.dtype().blocks().round(numbers, rounded.memory().asSlice(0, blocks.bytes()));
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(
            piece.name() + " cannot be held in blocks: " + e.getMessage(), e);
      }
      rounded.write(0, blocks.bytes());
      stream.pack(blocks, target);
    }
  }

  /**
   * The CRC-32C of some bytes followed by tensors that were read whole.
   *
   * @param before the CRC-32C of these bytes
   * @param tensors in the order in which they were added
   */
  int checksum(int before, Collection<StoredTensor> tensors) {
    Set<String> names = tensors.stream().map(StoredTensor::name).collect(Collectors.toSet());
    int checksum = before;
    for (int i = 0; i < pieces.size(); i++) {
      if (names.contains(pieces.get(i).name())) {
        checksum = Crc32c.join(checksum, checksums[i], pieces.get(i).bytes());
      }
    }
    return checksum;
  }

  /**
   * The report of this load.
   *
   * @param place for messages
   * @param warnings so far
   * @throws CheckpointException if {@code strict} and a value is not finite
   */
  LoadReport report(
      Path place, Map<String, LoadTarget> destinations, boolean strict, List<String> warnings) {
    Map<String, Long> found = new HashMap<>();
    for (int i = 0; i < pieces.size(); i++) {
      found.merge(pieces.get(i).name(), nonFinite[i], Long::sum);
    }
    NonFinite all = new NonFinite();
    destinations.keySet().forEach(name -> all.add(name, found.getOrDefault(name, 0L)));
    Optional<String> sentence = all.sentence(place);
    if (strict && sentence.isPresent()) {
      throw new CheckpointException(sentence.get());
    }
    long bytes = destinations.values().stream().mapToLong(LoadTarget::bytes).sum();
    return new LoadReport(
        destinations.size(), bytes, Stream.concat(warnings.stream(), sentence.stream()).toList());
  }
}
