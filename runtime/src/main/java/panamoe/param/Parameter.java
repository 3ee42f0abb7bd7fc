package panamoe.param;

import java.util.Arrays;
import panamoe.comm.Communicator;
import panamoe.op.Gradient;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * One parameter of a model: name, shape, role, and the share that this rank holds. Kernels read its
 * {@link #weight}.
 */
public final class Parameter {
  /** The part of a model that a parameter belongs to, for tables of sizes. */
  public enum Part {
    EMBEDDING,
    ATTENTION,
    NORM,
    MLP,
    ROUTER,
    EXPERT,
    COEFFICIENT
  }

  /** The use of a parameter by kernels, which determines its storage for inference. */
  public enum Role {
    /** Operand of a GEMM, packed for inference. */
    OPERAND,
    /** Table of rows to look up: an embedding, vectors of experts. */
    TABLE,
    /** Term or factor: a bias, the weights of a norm. Always FLOAT32, never decayed. */
    VECTOR,
    /** A or B of an {@link Adapter}: row-major, never in blocks. */
    ADAPTER
  }

  /**
   * This rank's share of a parameter.
   *
   * @param replicas the ranks with the same elements; each has a gradient over its own tokens
   * @param experts whose matrices are stacked in it, or null; the rank holds some of them
   * @param slice its part of a matrix, or of each expert's
   * @param overSlices whether each tensor rank has a gradient over its slice of the activations
   * @param counted false on ranks that hold, and compute, a replica of a tensor rank
   */
  record Share(
      Communicator replicas,
      ExpertGroups experts,
      Slice slice,
      boolean overSlices,
      boolean counted) {}

  private final String name;
  private final Part part;
  private final Role role;
  private final long[] matrix;
  private final long[] shape;
  private final Share share;
  private final Initialization initialization;
  private Weight weight;
  private Adapter adapter;

  /**
   * @param matrix shape of the whole parameter, without a dimension of experts
   */
  Parameter(
      String name,
      Part part,
      Role role,
      Initialization initialization,
      Share share,
      long... matrix) {
    this.name = name;
    this.part = part;
    this.role = role;
    this.initialization = initialization;
    this.share = share;
    this.matrix = matrix.clone();
    long[] held = share.slice.shape(share.slice.ranks().size(), matrix);
    if (share.experts == null) {
      this.shape = held;
    } else {
      this.shape = new long[held.length + 1];
      shape[0] = share.experts.held().size();
      System.arraycopy(held, 0, shape, 1, held.length);
    }
  }

  /** Unique in its model, e.g. {@code layers.1.moe.experts.up.weight}. */
  public String name() {
    return name;
  }

  /** The name in a checkpoint: of an expert's matrix if they are stacked. */
  public String tensorName(int expert) {
    return part == Part.EXPERT ? name.replace(".experts.", ".experts." + expert + ".") : name;
  }

  public Part part() {
    return part;
  }

  public Role role() {
    return role;
  }

  /** Whether weight decay applies: to matrices, not to biases and norms. */
  public boolean decayed() {
    return role != Role.VECTOR;
  }

  /**
   * The dtype that kernels read if the model computes in {@code compute}: vectors and the router's
   * matrices stay FLOAT32.
   */
  public DType valueDType(DType compute) {
    boolean routing = part == Part.ROUTER || part == Part.COEFFICIENT;
    return role == Role.VECTOR || routing ? DType.FLOAT32 : compute;
  }

  /** The shape of this rank's share. */
  public long[] shape() {
    return shape.clone();
  }

  /** Elements of this rank's share. */
  public long count() {
    return Tensor.count(shape);
  }

  /** The shape of the whole matrix or vector; of a single expert's, if stacked. */
  public long[] matrixShape() {
    return matrix.clone();
  }

  /** The shape of this rank's part of each matrix. */
  public long[] sliceShape() {
    return share.slice.shape(share.slice.ranks().size(), matrix);
  }

  /** The shape of a rank's part of each matrix under {@code topology}. */
  public long[] matrixShape(Topology topology) {
    return share.slice.shape(slices(topology), matrix);
  }

  private int slices(Topology topology) {
    return share.experts == null ? topology.tensorDegree() : topology.expertSlices();
  }

  /** Matrices on the rank of {@code topology} that holds most: its experts, or one. */
  public int matrices(Topology topology) {
    return share.experts == null ? 1 : topology.mostExperts(share.experts.total());
  }

  /** Elements on the rank of {@code topology} that holds most. */
  public long count(Topology topology) {
    return matrices(topology) * share.slice.count(slices(topology), matrix);
  }

  /** The number of ranks of {@code topology} that hold the same elements, each with a gradient. */
  public int replicas(Topology topology) {
    if (share.experts == null) {
      return share.overSlices ? topology.ranks() : topology.dataDegree();
    }
    int replicas = topology.expertDataDegree(topology.expertDegree(share.experts.total()));
    return share.overSlices ? replicas * topology.expertSlices() : replicas;
  }

  /** Matrices that this rank holds: its experts, or one. */
  public int matrices() {
    return share.experts == null ? 1 : share.experts.held().size();
  }

  /** The index of matrix {@code index}'s expert among the layer's; 0 without experts. */
  public int expert(int index) {
    return share.experts == null ? 0 : share.experts.held().get(index);
  }

  /** Whether other ranks of the group hold copies of experts in it. */
  boolean copied() {
    return share.experts != null && share.experts.placement().copied();
  }

  /** This rank's part of each of its matrices. */
  public Slice slice() {
    return share.slice;
  }

  /** The ranks that hold the same elements; the batch's gradient is the sum of the ranks'. */
  public Communicator replicas() {
    return share.replicas;
  }

  /**
   * False on ranks that hold a replica: norms and counts skip them, so that each element counts
   * once.
   */
  public boolean counted() {
    return share.counted;
  }

  /**
   * Elements {@code index} of this rank's matrices, in the shape of the matrix or slice; a view of
   * {@code tensor}.
   */
  public Tensor matrix(Tensor tensor, int index) {
    return share.experts == null
        ? tensor
        : tensor.rows(index, index + 1).reshape(Arrays.copyOfRange(shape, 1, shape.length));
  }

  /** The storage of the parameter; null until it has memory. */
  public Weight weight() {
    return weight;
  }

  /** The adapter of this matrix; null: none. */
  public Adapter adapter() {
    return adapter;
  }

  /** Whether it has a value that is never updated. */
  public boolean frozen() {
    return weight != null && !(weight instanceof Weight.Trained);
  }

  /** The value of an optional parameter: null for null. */
  public static Tensor valueOf(Parameter parameter) {
    return parameter == null ? null : parameter.value();
  }

  /** The tensor that kernels read; null without memory, or if it is on a disk. */
  public Tensor value() {
    return weight == null ? null : weight.value();
  }

  /** FLOAT32; null unless the weight is {@link Weight.Trained}. */
  public Tensor master() {
    return weight instanceof Weight.Trained trained ? trained.master() : null;
  }

  /** FLOAT32; null unless the model trains. */
  public Tensor gradient() {
    Gradient gradient = gradientSums();
    return gradient == null ? null : gradient.sums();
  }

  @Override
  public String toString() {
    return name + Arrays.toString(shape);
  }

  /** The gradient that a tape adds to; null unless the model trains. */
  Gradient gradientSums() {
    return weight instanceof Weight.Trained trained ? trained.gradient() : null;
  }

  Initialization initialization() {
    return initialization;
  }

  Share share() {
    return share;
  }

  void bind(Weight newWeight) {
    weight = newWeight;
  }

  void adapt(Adapter by) {
    adapter = by;
  }
}
