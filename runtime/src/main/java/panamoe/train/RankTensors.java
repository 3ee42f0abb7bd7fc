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
 * Converts between a rank's part of a tensor and the whole matrices of a checkpoint: tensor ranks
 * hold slices of parameters, replicas hold shares of the optimizer's moments.
 */
final class RankTensors {
  private final TensorScope scope;
  private final List<Tensor> made = new ArrayList<>();

  /**
   * @param scope of new tensors; a tensor that the rank has whole is used without a copy
   */
  RankTensors(TensorScope scope) {
    this.scope = scope;
  }

  /**
   * Frees the tensors made since the last call, except for the memory of {@code kept}, which may be
   * null.
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
   * Gathers the replicas' shares of a moment to the shape of the rank's parameter. Collective over
   * the replicas.
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

  /** Gathers the tensor ranks' slices to whole matrices. Collective over the tensor ranks. */
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

  /** A tensor for the whole matrices; {@code slices} itself if they are whole. */
  Tensor placeFor(Parameter parameter, Tensor slices) {
    return parameter.slice().whole() ? slices : make(stacked(parameter));
  }

  /**
   * A tensor for the moments of the rank's whole parameter; the share itself if the parameter has
   * no replica.
   */
  Tensor placeFor(AdamW.Moments moments, Tensor share) {
    Parameter parameter = moments.parameter();
    return moments.alone() ? share.reshape(parameter.shape()) : make(parameter.shape());
  }

  /** Copies this rank's share out of the gathered moments. */
  void takeShare(AdamW.Moments moments, Tensor held, Tensor share) {
    if (!moments.alone()) {
      long from = moments.from();
      share.copyFrom(held.reshape(held.count()).rows(from, from + share.count()));
    }
  }

  /** Copies this rank's slices out of the whole matrices. */
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

  /** The shape of the whole matrices. */
  private static long[] stacked(Parameter parameter) {
    long[] shape = parameter.shape();
    long[] matrix = parameter.matrixShape();
    System.arraycopy(matrix, 0, shape, shape.length - matrix.length, matrix.length);
    return shape;
  }
}
