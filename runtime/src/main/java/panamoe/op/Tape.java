package panamoe.op;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Records the ops of a forward pass, and runs their backwards in reverse order.
 *
 * <p>Two kinds of gradients: those of activations, which live until the op that made the activation
 * has consumed them, and those of parameters, which the caller registers and every pass adds to. A
 * view shares its owner's gradient. Used by one thread.
 */
public final class Tape {
  private record Node(Runnable backward, Tensor[] disposable) {}

  private final Backend backend;
  private final List<Node> nodes = new ArrayList<>();
  private final Map<Tensor, Tensor> activationGradients = new IdentityHashMap<>();
  private final Map<Tensor, Gradient> parameterGradients;

  public Tape(Backend backend) {
    this(backend, new IdentityHashMap<>());
  }

  private Tape(Backend backend, Map<Tensor, Gradient> parameterGradients) {
    this.backend = backend;
    this.parameterGradients = parameterGradients;
  }

  /**
   * An empty tape that adds to this tape's parameter gradients: for another batch, or a segment.
   */
  public Tape fork() {
    return new Tape(backend, parameterGradients);
  }

  /** Adds the gradients of {@code parameter} to {@code gradient}, of the same count. */
  public void watch(Tensor parameter, Gradient gradient) {
    parameterGradients.put(parameter.owner(), gradient);
  }

  /** The gradient of a parameter, or null if it is not watched (frozen). */
  Gradient gradientOf(Tensor parameter) {
    return parameter == null ? null : parameterGradients.get(parameter.owner());
  }

  /** The sums of a parameter's gradient, or null if it is not watched (frozen). */
  public Tensor parameterGradient(Tensor parameter) {
    Gradient gradient = gradientOf(parameter);
    return gradient == null ? null : gradient.sums();
  }

  /**
   * Like {@link #parameterGradient}, for kernels that always form the gradient: a frozen
   * parameter's goes to scratch memory of {@code scope}.
   */
  Tensor parameterGradientOrScratch(Tensor parameter, TensorScope scope) {
    Tensor gradient = parameterGradient(parameter);
    return gradient != null ? gradient : scope.zeros(DType.FLOAT32, parameter.shape());
  }

  /**
   * Adds an op. {@code backward} runs once, when all later ops have run theirs; then the {@code
   * disposable} tensors (the op's outputs, and what it saved for its backward) are released.
   */
  public void record(Runnable backward, Tensor... disposable) {
    nodes.add(new Node(backward, disposable));
  }

  /**
   * Adds the op that made {@code y}. {@code backward} gets the gradient of y in y's shape, and owns
   * it; it does not run if nothing depends on y. Then y and {@code saved} are released.
   */
  void record(Tensor y, Consumer<Tensor> backward, Tensor... saved) {
    Runnable withGradient =
        () -> {
          Tensor dy = takeGradient(y);
          if (dy != null) {
            backward.accept(dy);
          }
        };
    nodes.add(
        new Node(
            withGradient, Stream.concat(Stream.of(y), Stream.of(saved)).toArray(Tensor[]::new)));
  }

  /**
   * Adds {@code gradient} to that of activation {@code x}; the tape owns it then, and may change
   * it.
   */
  public void addGradient(Tensor x, Tensor gradient) {
    Tensor sum = activationGradients.get(x.owner());
    if (sum == null) {
      activationGradients.put(x.owner(), gradient);
    } else {
      backend.add(1, sum, 1, gradient, sum);
      gradient.release();
    }
  }

  /**
   * Ends the backward of an op whose preactivation has an addend.
   *
   * @param addend gets the preactivation's gradient; null: none does
   * @param dpre that gradient, perhaps dy itself
   * @param dy gradient of the op's output, released if dpre is another
   */
  void give(Tensor addend, Tensor dpre, Tensor dy) {
    if (addend != null) {
      addGradient(addend, dpre.owner());
    }
    if (addend == null || dpre != dy) {
      dy.owner().release();
    }
  }

  /**
   * The gradient of activation {@code y} in the shape of y, or null if nothing depends on it. Stays
   * on the tape.
   */
  public Tensor gradient(Tensor y) {
    Tensor gradient = activationGradients.get(y.owner());
    return gradient == null ? null : gradient.reshape(y.shape());
  }

  /** Like {@link #gradient}, but removes it for the op that made y, which releases it. */
  Tensor takeGradient(Tensor y) {
    Tensor gradient = activationGradients.remove(y.owner());
    return gradient == null ? null : gradient.reshape(y.shape());
  }

  /** Runs all backwards. Afterwards the tape holds only the gradients of inputs that no op made. */
  public void backward() {
    for (int i = nodes.size() - 1; i >= 0; i--) {
      Node node = nodes.get(i);
      node.backward.run();
      for (Tensor tensor : node.disposable) {
        if (tensor != null) {
          tensor.owner().release();
        }
      }
    }
    nodes.clear();
  }
}
