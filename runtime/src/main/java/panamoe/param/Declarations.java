package panamoe.param;

import panamoe.config.InitialWeights;
import panamoe.parallel.Ranks;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.param.Parameter.Part;
import panamoe.param.Parameter.Role;
import panamoe.param.Parameter.Share;

/**
 * For the layers' declarations of parameters: the store, the prefix of names, and the initial
 * values of matrices.
 */
public final class Declarations {
  private final ParameterStore store;
  private final InitialWeights initial;
  private final String name;
  private final double deviation;

  private Declarations(
      ParameterStore store, InitialWeights initial, String name, double deviation) {
    this.store = store;
    this.initial = initial;
    this.name = name;
    this.deviation = deviation;
  }

  /** For a layer called {@code name}. */
  public static Declarations of(ParameterStore store, InitialWeights initial, String name) {
    return new Declarations(store, initial, name, initial.deviation());
  }

  /** For a layer called {@code name}, with one standard deviation for all matrices. */
  public static Declarations of(ParameterStore store, double deviation, String name) {
    return of(store, new InitialWeights(deviation, deviation), name);
  }

  /** For a part of the layer. */
  public Declarations in(String part) {
    return new Declarations(store, initial, name + "." + part, deviation);
  }

  /** For a part whose matrix adds to the residual stream. */
  public Declarations writing(String part) {
    return new Declarations(store, initial, name + "." + part, initial.outputDeviation());
  }

  /** The ranks that hold the model together. */
  public Ranks ranks() {
    return store.ranks();
  }

  /**
   * A matrix that kernels multiply by: {@code name.weight}, normal.
   *
   * @param slice this rank's part
   * @param shape of the whole
   * @throws IllegalArgumentException if the name is taken, or the shape cannot be sliced like this
   */
  public Parameter matrix(Part part, Slice slice, long... shape) {
    return dense("weight", part, Role.OPERAND, normal(), slice, shape);
  }

  /** A table of rows to look up: {@code name.weight}, normal, replicated on every rank. */
  public Parameter table(Part part, long... shape) {
    return dense("weight", part, Role.TABLE, normal(), Slice.WHOLE, shape);
  }

  /** A small table that stays FLOAT32, like vectors: {@code name.weight}, normal, replicated. */
  public Parameter floatTable(Part part, long... shape) {
    return dense("weight", part, Role.VECTOR, normal(), Slice.WHOLE, shape);
  }

  /**
   * A vector: {@code name.suffix}.
   *
   * @throws IllegalArgumentException as {@link #matrix}
   */
  public Parameter vector(
      String suffix, Part part, Initialization initialization, Slice slice, long size) {
    return dense(suffix, part, Role.VECTOR, initialization, slice, size);
  }

  /**
   * A vector that each tensor rank applies to its own heads: {@code name.suffix}, replicated; its
   * gradient is the sum over the ranks.
   */
  public Parameter vectorOverSlices(
      String suffix, Part part, Initialization initialization, long size) {
    Share share = new Share(ranks().world(), null, Slice.WHOLE, true, true);
    return declare(suffix, part, Role.VECTOR, initialization, share, size);
  }

  /** The stacked matrices of a layer's experts: {@code name.weight}, normal. */
  public Parameter expertMatrix(ExpertGroups experts, Slice slice, long... shape) {
    return ofExperts("weight", Role.OPERAND, normal(), experts, slice, shape);
  }

  /** The stacked vectors of a layer's experts: {@code name.bias}, zero. */
  public Parameter expertBias(ExpertGroups experts, Slice slice, long size) {
    return ofExperts("bias", Role.VECTOR, Initialization.ZERO, experts, slice, size);
  }

  private Parameter dense(
      String suffix, Part part, Role role, Initialization initial, Slice slice, long... shape) {
    boolean counted = !slice.whole() || ranks().tensor().rank() == 0;
    Share share = new Share(ranks().data(), null, slice, false, counted);
    return declare(suffix, part, role, initial, share, shape);
  }

  private Parameter ofExperts(
      String suffix,
      Role role,
      Initialization initial,
      ExpertGroups experts,
      Slice slice,
      long... shape) {
    boolean counted = !slice.whole() || ranks().slices().rank() == 0;
    Share share = new Share(experts.replicas(), experts, slice, false, counted);
    return declare(suffix, Part.EXPERT, role, initial, share, shape);
  }

  private Parameter declare(
      String suffix, Part part, Role role, Initialization initial, Share share, long... shape) {
    return store.declare(new Parameter(name + "." + suffix, part, role, initial, share, shape));
  }

  private Initialization normal() {
    return new Initialization.Normal((float) deviation);
  }
}
