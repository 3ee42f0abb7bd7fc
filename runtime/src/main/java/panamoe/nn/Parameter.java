package panamoe.nn;

import panamoe.tensor.Tensor;

/**
 * One weight of a model. {@link #value} is what kernels read, in the compute dtype; {@link #master} is what the optimizer
 * updates, always FLOAT32, and the same tensor as the value when computing in float32.
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
    COEFFICIENT,
    OUTPUT
  }

  private final String name;
  private final Part part;
  private final boolean decayed;
  private final long[] shape;
  private final Initialization initialization;
  private Tensor value;
  private Tensor master;
  private Tensor gradient;

  Parameter(String name, Part part, boolean decayed, Initialization initialization, long... shape) {
    this.name = name;
    this.part = part;
    this.decayed = decayed;
    this.initialization = initialization;
    this.shape = shape.clone();
  }

  /** Unique in its model, e.g. {@code layers.1.moe.experts.up.weight}. */
  public String name() {
    return name;
  }

  public Part part() {
    return part;
  }

  /** Whether weight decay applies: to matrices, not to biases and norms. */
  public boolean decayed() {
    return decayed;
  }

  public long[] shape() {
    return shape.clone();
  }

  public long count() {
    return Tensor.count(shape);
  }

  /** In the compute dtype; packed in a model that was prepared for inference. */
  public Tensor value() {
    return value;
  }

  /** FLOAT32; null in a model that was prepared for inference. */
  public Tensor master() {
    return master;
  }

  /** FLOAT32; null unless the model trains. */
  public Tensor gradient() {
    return gradient;
  }

  @Override
  public String toString() {
    return name + java.util.Arrays.toString(shape);
  }

  Initialization initialization() {
    return initialization;
  }

  void bind(Tensor newValue, Tensor newMaster, Tensor newGradient) {
    value = newValue;
    master = newMaster;
    gradient = newGradient;
  }
}
