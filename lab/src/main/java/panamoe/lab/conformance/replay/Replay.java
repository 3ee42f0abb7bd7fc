package panamoe.lab.conformance.replay;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.op.GateOp;
import panamoe.op.Gradient;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One case during its replay: the comparison so far, the recorded file, and a training pass on the
 * backend under test.
 */
public final class Replay extends Comparison implements AutoCloseable {
  /** Largest difference of logits, absolute. */
  private static final double LOGITS = 1e-4;

  private final GoldenFile golden;
  private final Backend backend;
  private final TensorScope scope;
  private final Map<Tensor, Gradient> gradients = new IdentityHashMap<>();
  private final Map<String, float[]> expected = new HashMap<>();
  private final Map<String, Tensor> read = new LinkedHashMap<>();
  private Tape tape;
  private Pass pass;

  public Replay(GoldenFile golden, Backend backend) {
    this.golden = golden;
    this.backend = backend;
    this.scope = TensorScope.confined(backend);
    freshPass();
  }

  public GoldenFile golden() {
    return golden;
  }

  public Backend backend() {
    return backend;
  }

  public TensorScope scope() {
    return scope;
  }

  /** The pass; its seed does not matter because all random numbers are recorded. */
  public Pass pass() {
    return pass;
  }

  /** Starts a new pass with an empty tape and the same parameters. */
  public Pass freshPass() {
    tape = new Tape(backend);
    gradients.forEach(tape::watch);
    pass = Pass.training(backend, scope, tape, 0, 1);
    return pass;
  }

  /** A recorded FLOAT32 tensor. */
  public Tensor input(String name) {
    Tensor input = tensor(golden.floats(name), golden.shape(name));
    read.put(name, input);
    return input;
  }

  /** A recorded activation [..., M] as rows [S, M]. */
  public Tensor rows(String name) {
    int width = golden.size(name, -1);
    float[] values = golden.floats(name);
    return tensor(values, values.length / width, width);
  }

  public Tensor tensor(float[] values, long... shape) {
    return scope.allocate(DType.FLOAT32, shape).set(values);
  }

  public Tensor constant(float value, long... shape) {
    Tensor tensor = scope.allocate(DType.FLOAT32, shape);
    backend.fill(value, tensor);
    return tensor;
  }

  /** Whole numbers as INT32. */
  public Tensor integers(long[] values, long... shape) {
    return scope
        .allocate(DType.INT32, shape)
        .set(Arrays.stream(values).mapToInt(Math::toIntExact).toArray());
  }

  /** The UINT8 mask of used tokens for a gate; null for all. */
  public Tensor mask(boolean[] used) {
    if (used == null) {
      return null;
    }
    byte[] bytes = new byte[used.length];
    for (int i = 0; i < used.length; i++) {
      bytes[i] = (byte) (used[i] ? 1 : 0);
    }
    return scope.allocate(DType.UINT8, used.length).copyFrom(MemorySegment.ofArray(bytes));
  }

  /** A gate's routes from logits in this pass, with loss factors of 0. */
  public Routes route(GateSettings gate, Tensor logits) {
    return route(gate, GateKernels.Inputs.of(logits), 0);
  }

  /**
   * A gate's routes in this pass.
   *
   * @param auxiliary factor of its auxiliary loss
   */
  public Routes route(GateSettings gate, GateKernels.Inputs inputs, double auxiliary) {
    return GateOp.forward(pass, gate, inputs, (float) auxiliary, 0);
  }

  /** A recorded weight; {@link #gradientOf} returns its gradient. */
  public Tensor parameter(String name) {
    Tensor parameter = parameter(golden.floats(name), golden.shape(name));
    read.put(name, parameter);
    return parameter;
  }

  /** A weight in another layout than recorded. */
  public Tensor parameter(float[] values, long... shape) {
    Tensor parameter = tensor(values, shape);
    gradients.put(parameter, new Gradient(backend, scope.zeros(DType.FLOAT32, shape)));
    tape.watch(parameter, gradients.get(parameter));
    return parameter;
  }

  /**
   * The objective of the recorded gradients without auxiliary losses: {@code sum(out * upstream)}.
   */
  public double objective(float[] out) {
    float[] upstream = golden.floats("upstream");
    double sum = 0;
    for (int i = 0; i < out.length; i++) {
      sum += (double) out[i] * upstream[i];
    }
    return sum;
  }

  /** Runs the backward of {@code sum(output * upstream)} and of everything else on the tape. */
  public void backward(Tensor output, float[] upstream) {
    tape.addGradient(output, tensor(upstream, output.shape()));
    tape.backward();
  }

  /** Runs the backward of the losses on the tape alone. */
  public void backward() {
    tape.backward();
  }

  /** The gradient of a parameter or an input after the backward; zeros if nothing depends on it. */
  public float[] gradientOf(Tensor tensor) {
    Gradient sums = gradients.get(tensor);
    Tensor gradient = sums == null ? tape.gradient(tensor) : sums.sums();
    return gradient == null ? new float[(int) tensor.count()] : gradient.toFloats();
  }

  /**
   * Compares an output, runs its backward, and compares the gradients {@code grad.NAME} of all
   * tensors that were read.
   */
  public void compare(Tensor out) {
    close("out", out.toFloats());
    backward(out, golden.floats("upstream"));
    read.forEach((name, tensor) -> close("grad." + name, gradientOf(tensor)));
  }

  /** Replaces a recorded tensor for {@link #close}. */
  public void expect(String name, float[] values) {
    expected.put(name, values);
  }

  /** Compares floats with the recorded tensor of that name. */
  public void close(String name, float[] actual) {
    float[] recorded = golden.floats(name);
    close(name, expected.getOrDefault(name, recorded), actual);
  }

  /** Like {@link #close(String, float[])}, if the case has the tensor. */
  public void closeIfRecorded(String name, float[] actual) {
    if (golden.has(name)) {
      close(name, actual);
    }
  }

  public void close(String name, double actual) {
    close(name, golden.scalar(name), actual);
  }

  /** Compares logits with a recorded tensor, also by their largest difference. */
  public void closeLogits(String name, float[] logits) {
    float[] recorded = golden.floats(name);
    close(name, recorded, logits);
    double most = 0;
    for (int i = 0; i < Math.min(recorded.length, logits.length); i++) {
      most = Math.max(most, Math.abs((double) recorded[i] - logits[i]));
    }
    require(most <= LOGITS, name + " differ by " + most);
  }

  public void exact(String name, long[] actual) {
    exact(name, golden.longs(name), actual);
  }

  @Override
  public void close() {
    scope.close();
  }
}
