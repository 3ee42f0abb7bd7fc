package panamoe.lab.bench;

import java.io.InterruptedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.config.AttentionConfig;
import panamoe.harness.probe.Ceilings;
import panamoe.io.Words;
import panamoe.nn.Cost;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * Where a call's time goes: each kernel's time, next to the time that its products and the bytes of
 * its tensors take at the machine's ceilings. Kernels that a captured graph replays are not seen.
 * Used by one thread.
 */
final class KernelProfile {
  static final String HEADER =
      "  kernel                        calls          ms   share    limit ms   of limit";

  /**
   * A kernel's part of one call of the work.
   *
   * @param calls of the kernel
   * @param limitMs what its calls take at the ceilings; null if those are unknown
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  record Row(String kernel, double calls, double ms, double share, Double limitMs) {
    @Override
    public String toString() {
      return Words.of(
          "  %-28s %6.0f %11.3f %5.1f %% %11s %10s",
          kernel,
          calls,
          ms,
          100 * share,
          limitMs == null ? "-" : Words.of("%.3f", limitMs),
          limitMs == null ? "-" : Words.of("%.0f %%", 100 * limitMs / ms));
    }
  }

  private static final class Sum {
    long calls;
    long nanos;
    double limitSeconds;
  }

  private final Backend backend;
  private final LongSupplier clock; // nanoseconds
  private long own; // nanoseconds that this profile has taken
  private final Map<String, Sum> sums = new LinkedHashMap<>();
  private Ceilings ceilings;

  KernelProfile(Backend backend) {
    this(backend, System::nanoTime);
  }

  KernelProfile(Backend backend, LongSupplier clock) {
    this.backend = backend;
    this.clock = clock;
  }

  /** The backend, whose kernels are timed one by one. */
  Backend timed() {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, this::invoke);
  }

  private Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
    boolean kernel =
        method.getReturnType() == void.class
            && method.getDeclaringClass().getName().endsWith("Kernels");
    if (!kernel) {
      return call(method, arguments);
    }
    long entered = clock.getAsLong();
    backend.synchronize();
    long start = clock.getAsLong();
    call(method, arguments);
    backend.synchronize();
    long end = clock.getAsLong();
    add(name(method, arguments), end - start, arguments);
    own += start - entered + clock.getAsLong() - end;
    return null;
  }

  private Object call(Method method, Object[] arguments) throws Throwable {
    try {
      return method.invoke(backend, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  /** Products that a backward makes have names of their own. */
  private static String name(Method method, Object[] arguments) {
    if (!method.getName().equals("gemm")) {
      return method.getName();
    }
    boolean forward = (boolean) arguments[1] || ((Tensor) arguments[4]).packed();
    return (boolean) arguments[0]
        ? "gemm, weights' gradient"
        : forward ? "gemm" : "gemm, input's gradient";
  }

  private void add(String kernel, long nanos, Object[] arguments) {
    Sum sum = sums.computeIfAbsent(kernel, name -> new Sum());
    sum.calls++;
    sum.nanos += nanos;
    if (ceilings != null) {
      List<Tensor> tensors = Stream.of(arguments).flatMap(KernelProfile::tensors).toList();
      double bytes = tensors.stream().mapToDouble(Tensor::bytes).sum();
      sum.limitSeconds +=
          ceilings.rooflineSeconds(
              new Cost(flops(kernel, arguments, tensors), bytes, 0, 0, 0),
              products(kernel, tensors));
    }
  }

  /** The tensors of an argument, in the order of its record's components. */
  private static Stream<Tensor> tensors(Object argument) {
    if (argument instanceof Tensor tensor) {
      return Stream.of(tensor);
    }
    if (!(argument instanceof Record)) {
      return Stream.empty();
    }
    List<Tensor> tensors = new ArrayList<>();
    for (RecordComponent component : argument.getClass().getRecordComponents()) {
      try {
        tensors(component.getAccessor().invoke(argument)).forEach(tensors::add);
      } catch (ReflectiveOperationException e) {
        throw new AssertionError(e);
      }
    }
    return tensors.stream();
  }

  /** Two for each multiply-add of products and attention; 0 for kernels that memory limits. */
  private static double flops(String kernel, Object[] arguments, List<Tensor> tensors) {
    return switch (kernel) {
      case "gemm", "gemm, input's gradient", "gemm, weights' gradient" -> {
        Tensor b = (Tensor) arguments[4];
        boolean rows = (boolean) arguments[1] || b.packed();
        yield 2.0 * tensors.getFirst().count() * b.size(rows ? 0 : 1);
      }
      // x or dy, offsets, weights [E, N, K]
      case "expertForward" -> 2.0 * tensors.getFirst().count() * tensors.get(2).size(1);
      case "expertBackwardInput" -> 2.0 * tensors.getFirst().count() * tensors.get(2).size(2);
      // dy, x [R, K]
      case "expertBackwardWeights" -> 2.0 * tensors.getFirst().count() * tensors.get(1).size(1);
      case "attentionForward" -> attentionFlops(arguments, 2);
      case "attentionBackward" -> attentionFlops(arguments, 5);
      // targets, losses, hidden [S, M], weights [V, M], both gradients or neither
      case "linearCrossEntropy" ->
          2.0 * tensors.get(2).count() * tensors.get(3).size(0) * (tensors.size() > 4 ? 3 : 1);
      default -> 0;
    };
  }

  /**
   * @param products for each head of D multiply-adds for each pair of a query and a visible key
   */
  private static double attentionFlops(Object[] arguments, int products) {
    Tensor q = ((AttentionInputs) arguments[1]).q(); // [B, L, H, D]
    AttentionSettings settings = (AttentionSettings) arguments[0];
    long length = q.size(1);
    double pairs =
        new AttentionConfig.Scores(settings.mask(), (int) settings.window(), false, null)
            .pairs(0, length);
    return 2.0 * products * (q.count() / length) * pairs;
  }

  private static DType products(String kernel, List<Tensor> tensors) {
    int operand = kernel.startsWith("linear") ? 2 : 0;
    return tensors.isEmpty()
        ? DType.FLOAT32
        : tensors.get(Math.min(operand, tensors.size() - 1)).dtype();
  }

  /**
   * Profiles calls of {@code work}, whose backend is {@link #timed}.
   *
   * @param seconds of work at least
   * @param measured null if ceilings are unknown
   * @return the kernel that takes longest first; last what passes between kernels, without what
   *     this profile takes
   */
  List<Row> over(Workload work, double seconds, Ceilings measured) throws InterruptedIOException {
    work.run(0);
    sums.clear();
    own = 0;
    ceilings = measured;
    int calls = 0;
    long start = clock.getAsLong();
    while (calls == 0 || clock.getAsLong() - start < seconds * 1e9) {
      Timing.stopIfInterrupted();
      work.run(++calls);
    }
    double whole = (clock.getAsLong() - start - own) / 1e6 / calls;
    List<Row> rows = new ArrayList<>();
    for (Map.Entry<String, Sum> each : sums.entrySet()) {
      Sum sum = each.getValue();
      double ms = sum.nanos / 1e6 / calls;
      Double limit = ceilings == null ? null : 1e3 * sum.limitSeconds / calls;
      rows.add(new Row(each.getKey(), (double) sum.calls / calls, ms, ms / whole, limit));
    }
    rows.sort(Comparator.comparingDouble(Row::ms).reversed());
    double between = whole - rows.stream().mapToDouble(Row::ms).sum();
    rows.add(new Row("between kernels", 0, between, between / whole, null));
    return rows;
  }
}
