package panamoe.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.comm.Communicator;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Between what a rank has of a tensor and the matrices that a checkpoint holds whole: tensor ranks
 * have slices of them, replicas have shares of the optimizer's moments.
 */
final class RankTensors {
  private final TensorScope scope;
  private final List<Tensor> made = new ArrayList<>();

  /**
   * @param scope where tensors are made; what a rank has whole is used as it is
   */
  RankTensors(TensorScope scope) {
    this.scope = scope;
  }

  /**
   * Frees what was made since the last call, but for the memory of {@code kept}, which may be null.
   */
  void freeAllBut(Tensor kept) {
    for (Tensor tensor : made) {
      if (kept == null || tensor != kept.owner()) {
        tensor.release();
      }
    }
    made.clear();
  }

  private Tensor make(long... shape) {
    Tensor tensor = scope.allocate(DType.FLOAT32, shape);
    made.add(tensor);
    return tensor;
  }

  /**
   * What a rank has of moments, [as its parameter], put together of the replicas' shares; they call
   * this together.
   */
  Tensor joined(AdamW.Moments moments, Tensor share) {
    Parameter parameter = moments.parameter();
    if (moments.alone()) {
      return share.reshape(parameter.shape());
    }
    Tensor whole = make(parameter.count());
    parameter.replicas().at("the moments of " + parameter.name());
    parameter.replicas().allGather(share, whole, moments.shares());
    return whole.reshape(parameter.shape());
  }

  /**
   * This rank's matrices whole, put together of the tensor ranks' slices; they call this together.
   */
  Tensor whole(Parameter parameter, Tensor slices) {
    Slice slice = parameter.slice();
    if (slice.whole()) {
      return slices;
    }
    Communicator ranks = slice.ranks();
    long[] counts = new long[ranks.size()];
    Arrays.fill(counts, slices.count());
    Tensor gathered = make(ranks.size(), slices.count());
    ranks.at("the slices of " + parameter.name());
    ranks.allGather(slices.reshape(slices.count()), gathered.reshape(gathered.count()), counts);
    Tensor whole = make(stacked(parameter));
    for (int rank = 0; rank < ranks.size(); rank++) {
      Tensor ofRank = gathered.rows(rank, rank + 1).reshape(slices.shape());
      for (int i = 0; i < parameter.matrices(); i++) {
        slice.paste(parameter.matrix(ofRank, i), rank, matrix(parameter, whole, i));
      }
    }
    return whole;
  }

  /** A place for this rank's matrices whole: {@code slices} itself where it has them so. */
  Tensor placeFor(Parameter parameter, Tensor slices) {
    return parameter.slice().whole() ? slices : make(stacked(parameter));
  }

  /** A place for all that a rank has of moments: the share itself where it has no replica. */
  Tensor placeFor(AdamW.Moments moments, Tensor share) {
    Parameter parameter = moments.parameter();
    return moments.alone() ? share.reshape(parameter.shape()) : make(parameter.shape());
  }

  /** Copies this rank's share out of all that it and its replicas have. */
  void takeShare(AdamW.Moments moments, Tensor held, Tensor share) {
    if (!moments.alone()) {
      long from = moments.from();
      share.data().copyFrom(held.reshape(held.count()).rows(from, from + share.count()).data());
    }
  }

  /** Cuts this rank's slices out of its whole matrices. */
  void cut(Parameter parameter, Tensor whole, Tensor slices) {
    Slice slice = parameter.slice();
    for (int i = 0; i < parameter.matrices() && !slice.whole(); i++) {
      slice.cut(matrix(parameter, whole, i), slice.ranks().rank(), parameter.matrix(slices, i));
    }
  }

  private static Tensor matrix(Parameter parameter, Tensor whole, int index) {
    return parameter.matrices() == 1 && whole.rank() == parameter.matrixShape().length
        ? whole
        : whole.rows(index, index + 1).reshape(parameter.matrixShape());
  }

  /** The shape of this rank's matrices whole. */
  private static long[] stacked(Parameter parameter) {
    long[] shape = parameter.shape();
    long[] matrix = parameter.matrixShape();
    System.arraycopy(matrix, 0, shape, shape.length - matrix.length, matrix.length);
    return shape;
  }
}
