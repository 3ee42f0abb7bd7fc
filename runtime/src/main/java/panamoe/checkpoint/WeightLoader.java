package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;
import panamoe.backend.GemmKernels;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Reads a checkpoint's files to where their tensors go: all of them once and from the first byte to
 * the last, or the share of one rank and no other byte. Threads take pieces of about half a
 * megabyte, whole rows of one target: each piece is read, added to the checksum of its file,
 * searched for values that are not finite, and packed or rounded while the caches still hold it. So
 * a load takes a piece of memory a thread beside its targets.
 */
final class WeightLoader {
  private static final long PIECE_BYTES = 1 << 19;

  /**
   * Rows of a target.
   *
   * @param tensor as the file holds it
   * @param to where it goes; null for a tensor that is read for the checksum alone
   * @param from the first row; a tensor without dimensions is one row
   * @param end the row after the last one
   */
  private record Piece(
      SafetensorsReader file,
      StoredTensor tensor,
      Destination to,
      long from,
      long end,
      long bytes) {

    /** That are staged: bytes where they go nowhere. */
    long elements() {
      return to == null ? bytes : bytes / to.dtype().bytes();
    }

    /** Fills {@code into} with the rows, which may lie apart in the file. */
    void read(MemorySegment into) {
      Destination.Share share = to == null ? Destination.Share.WHOLE : to.share();
      long rowBytes = bytes / (end - from);
      if (share.whole()) {
        file.read(tensor, from * rowBytes, into);
      } else if (share.axis() == 0) {
        long held = tensor.shape()[0] / share.blocks() / share.of();
        for (long row = from, next; row < end; row = next) {
          next = Math.min(end, (row / held + 1) * held);
          long stored = (row / held * share.of() + share.member()) * held + row % held;
          file.read(
              tensor,
              stored * rowBytes,
              into.asSlice((row - from) * rowBytes, (next - row) * rowBytes));
        }
      } else {
        long held = rowBytes / share.blocks();
        for (long run = 0; run < (end - from) * share.blocks(); run++) {
          long stored = (from * share.blocks() + run) * share.of() + share.member();
          file.read(tensor, stored * held, into.asSlice(run * held, held));
        }
      }
    }
  }

  private final Backend backend;
  private final DoubleConsumer progress;
  private final List<Piece> pieces = new ArrayList<>();
  private final int[] checksums;
  private final long[] nonFinite;
  private final long stagedElements;
  private final AtomicInteger next = new AtomicInteger();
  private final AtomicReference<Throwable> failure = new AtomicReference<>();

  /**
   * @param backend whose memory the targets are, and whose kernels pack and round
   * @param destinations by name, of the shapes and dtypes of the files
   * @param all whether tensors without a destination are read too, for the checksums
   * @param progress is told which part is read, 0 to 1, by any thread
   */
  WeightLoader(
      Backend backend,
      List<SafetensorsReader> files,
      Map<String, Destination> destinations,
      boolean all,
      DoubleConsumer progress) {
    this.backend = backend;
    this.progress = progress;
    for (SafetensorsReader file : files) {
      for (StoredTensor tensor : file.tensors()) {
        Destination to = destinations.get(tensor.name());
        if (to != null || all) {
          cut(file, tensor, to);
        }
      }
    }
    this.checksums = new int[pieces.size()];
    this.nonFinite = new long[pieces.size()];
    this.stagedElements = pieces.stream().mapToLong(Piece::elements).max().orElse(0);
  }

  private void cut(SafetensorsReader file, StoredTensor tensor, Destination to) {
    long[] shape = to == null ? tensor.shape() : to.shareShape();
    long rows = shape.length == 0 ? 1 : shape[0];
    if (tensor.bytes() == 0) {
      return;
    }
    long rowBytes = (to == null ? tensor.bytes() : to.bytes()) / rows;
    long block = GemmKernels.PACKED_ROWS;
    long step = Math.max(1, PIECE_BYTES / rowBytes / block) * block;
    for (long from = 0; from < rows; from += step) {
      long end = Math.min(rows, from + step);
      pieces.add(new Piece(file, tensor, to, from, end, (end - from) * rowBytes));
    }
  }

  /**
   * Reads everything on the backend's number of threads, this one among them.
   *
   * @throws CheckpointException if a file cannot be read any more
   */
  void run() {
    backend.synchronize(); // targets are read into: nothing may be writing them
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
        progress.accept((i + 1.0) / pieces.size());
      }
    } catch (RuntimeException | Error e) {
      // An interrupted thread closes the files of all: report the interruption rather than a reader
      // that found its file closed.
      boolean cause = e.getCause() instanceof ClosedByInterruptException;
      failure.updateAndGet(first -> first == null || cause ? e : first);
    }
  }

  /** What one thread works with: a stream, and room for a piece in each dtype that it needs. */
  private final class Worker {
    private final Backend stream;
    private final TensorScope scope;
    private final Map<DType, Tensor> stages = new EnumMap<>(DType.class);
    private final Map<DType, HostView> stagesOnHost = new EnumMap<>(DType.class);

    Worker(Backend stream, TensorScope scope) {
      this.stream = stream;
      this.scope = scope;
    }

    void take(int index) {
      Piece piece = pieces.get(index);
      Destination to = piece.to();
      // A card's memory is written by the worker's own stream, in order with its kernels.
      Tensor direct = to == null || !stream.onHost() ? null : to.direct();
      Tensor source = direct == null ? stage(piece) : part(direct, piece);
      HostView view = stream.onHost() ? HostView.of(source) : stageOnHost(source.dtype());
      MemorySegment bytes = view.memory().asSlice(0, source.bytes());
      piece.read(bytes);
      checksums[index] = Crc32c.of(bytes);
      if (to == null) {
        return;
      }
      nonFinite[index] = NonFinite.count(to.dtype(), bytes);
      view.write(0, source.bytes());
      for (Tensor target : to.targets()) {
        if (target != direct) {
          put(source, part(target, piece));
        }
      }
      stream.synchronize(); // before the stages are written again
    }

    private void put(Tensor source, Tensor target) {
      if (!target.packed() && source.dtype() == target.dtype()) {
        stream.copy(source, target);
      } else if (!target.packed()) {
        stream.cast(source, target);
      } else if (source.dtype() == target.dtype()) {
        stream.pack(source, target);
      } else {
        // Packing moves vectors where nothing is to be rounded, and else element by element.
        Tensor rounded = stage(target.dtype(), source.shape());
        stream.cast(source, rounded);
        stream.pack(rounded, target);
      }
    }

    private Tensor stage(Piece piece) {
      return piece.to() == null
          ? stage(DType.UINT8, piece.bytes())
          : stage(piece.to().dtype(), shape(piece));
    }

    private HostView stageOnHost(DType dtype) {
      return stagesOnHost.computeIfAbsent(dtype, type -> HostView.of(stages.get(type)));
    }

    private Tensor stage(DType dtype, long... shape) {
      return stages
          .computeIfAbsent(dtype, type -> scope.allocate(type, stagedElements))
          .rows(0, Tensor.count(shape))
          .reshape(shape);
    }
  }

  private Tensor part(Tensor target, Piece piece) {
    if (target.rank() == 0 || piece.from() == 0 && piece.end() == target.size(0)) {
      return target;
    }
    return target.packed()
        ? backend.packedRows(target, piece.from(), piece.end())
        : target.rows(piece.from(), piece.end());
  }

  private static long[] shape(Piece piece) {
    long[] shape = piece.to().shareShape();
    if (shape.length > 0) {
      shape[0] = piece.end() - piece.from();
    }
    return shape;
  }

  /** The CRC-32C of a file, all of whose bytes were read. */
  int checksum(SafetensorsReader file) {
    int checksum = file.headerChecksum();
    for (int i = 0; i < pieces.size(); i++) {
      if (pieces.get(i).file() == file) {
        checksum = Crc32c.join(checksum, checksums[i], pieces.get(i).bytes());
      }
    }
    return checksum;
  }

  /** Values that are not finite by tensor; of the tensors that have some. */
  Map<String, Long> nonFinite() {
    Map<String, Long> found = new HashMap<>();
    for (int i = 0; i < pieces.size(); i++) {
      if (nonFinite[i] > 0) {
        found.merge(pieces.get(i).tensor().name(), nonFinite[i], Long::sum);
      }
    }
    return found;
  }
}
