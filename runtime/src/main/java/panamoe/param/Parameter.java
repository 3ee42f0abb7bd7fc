package panamoe.param;

import java.util.Arrays;
import panamoe.comm.Communicator;
import panamoe.op.Gradient;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A name, a shape, a role and a share of the ranks: one parameter of a model, or the part of it
 * that this rank holds. What kernels read of it is its {@link #weight}.
 */
public final class Parameter {
  /** What a parameter is part of: tables of sizes are made by it. */
  public enum Part {
    EMBEDDING,
    ATTENTION,
    NORM,
    MLP,
    ROUTER,
    EXPERT,
    COEFFICIENT
  }

  /** What kernels do with a parameter: how it is stored for inference follows from it. */
  public enum Role {
    /** They multiply by it: an operand of a GEMM, packed for inference. */
    OPERAND,
    /** They read its rows one by one: an embedding, vectors of experts. */
    TABLE,
    /** They add it or scale by it: a bias, the weights of a norm. Always FLOAT32, never decayed. */
    VECTOR
  }

  /**
   * What this rank holds of a parameter.
   *
   * @param replicas the ranks that hold the same; each has a gradient over its own tokens
   * @param experts whose matrices are stacked in it, or null; the rank holds some of them
   * @param slice the part of a matrix, or of each expert's, that it holds
   * @param overSlices whether each tensor rank has a gradient over its slice of the activations
   * @param counted false on ranks that hold, and compute, what one of their tensor ranks does
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
   * The dtype of what kernels read where the model computes in {@code compute}: vectors and the
   * router's matrices stay FLOAT32.
   */
  public DType valueDType(DType compute) {
    boolean routing = part == Part.ROUTER || part == Part.COEFFICIENT;
    return role == Role.VECTOR || routing ? DType.FLOAT32 : compute;
  }

  /** Of what this rank holds. */
  public long[] shape() {
    return shape.clone();
  }

  /** Elements that this rank holds. */
  public long count() {
    return Tensor.count(shape);
  }

  /** The shape of the whole matrix or vector: of one expert's, where they are stacked. */
  public long[] matrixShape() {
    return matrix.clone();
  }

  /** The shape of the part of each matrix that a rank of {@code topology} holds. */
  public long[] matrixShape(Topology topology) {
    return share.slice.shape(slices(topology), matrix);
  }

  private int slices(Topology topology) {
    return share.experts == null ? topology.tensorDegree() : topology.expertSlices();
  }

  /** Elements on the rank of {@code topology} that holds most. */
  public long count(Topology topology) {
    int matrices = share.experts == null ? 1 : topology.mostExperts(share.experts.total());
    return matrices * share.slice.count(slices(topology), matrix);
  }

  /** The number of ranks of {@code topology} that hold the same elements, each with a gradient. */
  public int replicas(Topology topology) {
    if (share.experts == null) {
      return share.overSlices ? topology.ranks() : topology.dataDegree();
    }
    return topology.expertDataDegree(topology.expertDegree(share.experts.total()));
  }

  /** Matrices that this rank holds: its experts, or one. */
  public int matrices() {
    return share.experts == null ? 1 : share.experts.held().size();
  }

  /** The number of the expert among all the layer's that matrix {@code index} is of; else 0. */
  public int expert(int index) {
    return share.experts == null ? 0 : share.experts.held().get(index);
  }

  /** Whether other ranks of the group hold copies of experts in it. */
  boolean copied() {
    return share.experts != null && share.experts.placement().copied();
  }

  /** The part that this rank holds of each of its matrices. */
  public Slice slice() {
    return share.slice;
  }

  /** The ranks that hold the same elements; the gradient of the batch is the sum of theirs. */
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
   * Elements {@code index} of this rank's matrices, in the matrix's (or its slice's) shape; a view
   * of {@code tensor}.
   */
  public Tensor matrix(Tensor tensor, int index) {
    return share.experts == null
        ? tensor
        : tensor.rows(index, index + 1).reshape(Arrays.copyOfRange(shape, 1, shape.length));
  }

  /** How the parameter is stored; null until it has memory. */
  public Weight weight() {
    return weight;
  }

  /** The value of a parameter that a layer may lack: null for null. */
  public static Tensor valueOf(Parameter parameter) {
    return parameter == null ? null : parameter.value();
  }

  /** What kernels read; null until the parameter has memory, or if it is on a disk. */
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

  /** What a tape adds to; null unless the model trains. */
  Gradient gradientSums() {
    return weight instanceof Weight.Trained trained ? trained.gradient() : null;
  }

  Initialization initialization() {
    return initialization;
  }

  void bind(Weight newWeight) {
    weight = newWeight;
  }
}
