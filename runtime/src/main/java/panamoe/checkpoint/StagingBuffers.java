package panamoe.checkpoint;

import java.util.EnumMap;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** A thread's buffers for pieces: one for each dtype. */
final class StagingBuffers {
  private final Backend stream;
  private final TensorScope scope;
  private final long elements;
  private final Map<DType, Tensor> stages = new EnumMap<>(DType.class);
  private final Map<DType, HostView> onHost = new EnumMap<>(DType.class);

  /**
   * @param scope of the memory, on {@code stream}
   * @param elements of the largest piece
   */
  StagingBuffers(Backend stream, TensorScope scope, long elements) {
    this.stream = stream;
    this.scope = scope;
    this.elements = elements;
  }

  /** Memory for a piece, reused by the next piece of its dtype. */
  Tensor of(DType dtype, long... shape) {
    if (dtype.isBlocks()) {
      return stages
          .computeIfAbsent(
              dtype,
              type -> {
                long blocks = Math.ceilDiv(elements, type.blockElements());
                return scope.allocate(DType.UINT8, blocks * type.blockBytes());
              })
          .part(0, dtype, shape);
    }
    return stages
        .computeIfAbsent(dtype, type -> scope.allocate(type, elements))
        .rows(0, Tensor.count(shape))
        .reshape(shape);
  }

  /** The host's view of a piece; a copy, reused for each dtype, on a GPU. */
  HostView onHost(Tensor piece) {
    return stream.onHost()
        ? HostView.of(piece)
        : onHost.computeIfAbsent(piece.dtype(), type -> HostView.of(stages.get(type)));
  }
}
