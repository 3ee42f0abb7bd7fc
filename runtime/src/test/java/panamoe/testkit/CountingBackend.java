package panamoe.testkit;

import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.Map;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.Backend;
import panamoe.backend.CachePlaces;
import panamoe.backend.LossKernels;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.Tensor;

/**
 * The reference backend, which counts by the shapes of its calls: operations of matrix products and
 * attention, and bytes that are allocated.
 */
public final class CountingBackend {
  private final Backend counted = new ReferenceBackend();
  private final Map<Long, Long> live = new HashMap<>();
  private double flops;
  private long bytes;
  private long peak;

  public Backend backend() {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, this::call);
  }

  /** Two for each multiply-add so far. */
  public double flops() {
    return flops;
  }

  /** Bytes that are allocated now. */
  public long bytes() {
    return bytes;
  }

  /** Most bytes that were allocated at once. */
  public long peak() {
    return peak;
  }

  /** Starts counting operations, and the most bytes. */
  public void restart() {
    flops = 0;
    peak = bytes;
  }

  private Object call(Object proxy, Method method, Object[] given) throws Throwable {
    flops += flops(method.getName(), given);
    Object result;
    try {
      result = method.invoke(counted, given);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
    if (method.getName().equals("allocate")) {
      live.put(((MemorySegment) result).address(), (long) given[0]);
      bytes += (long) given[0];
      peak = Math.max(peak, bytes);
    } else if (method.getName().equals("free")) {
      bytes -= live.remove(((MemorySegment) given[0]).address());
    }
    return result;
  }

  private static double flops(String kernel, Object[] given) {
    return switch (kernel) {
      case "gemm" -> {
        Tensor a = (Tensor) given[3];
        Tensor b = (Tensor) given[4];
        yield 2.0 * a.count() * b.size((boolean) given[1] ? 0 : 1);
      }
      case "expertForward" -> grouped((Tensor) given[0], (Tensor) given[2]);
      case "expertBackwardInput" -> grouped((Tensor) given[0], (Tensor) given[2]);
      case "expertBackwardWeights" -> grouped((Tensor) given[1], (Tensor) given[4]);
      case "attentionForward" ->
          attention((AttentionSettings) given[0], (AttentionInputs) given[1]);
      case "attentionBackward" ->
          2 * attention((AttentionSettings) given[0], (AttentionInputs) given[1]);
      case "attentionDecode" ->
          decode((AttentionSettings) given[0], (Tensor) given[1], (CachePlaces) given[3]);
      case "linearCrossEntropy" -> {
        double logits = 2.0 * ((Tensor) given[1]).count() * ((Tensor) given[2]).size(0);
        yield given[3] == null ? logits : 3 * logits;
      }
      case "linearDistillation" -> {
        LossKernels.Teacher teacher = (LossKernels.Teacher) given[1];
        long classes = ((Tensor) given[3]).size(0);
        double logits = 2.0 * ((Tensor) given[2]).count() * classes;
        double taught = teacher.weights() == null ? 0 : 2.0 * teacher.hidden().count() * classes;
        yield taught + (given[4] == null ? logits : 3 * logits);
      }
      default -> 0;
    };
  }

  /** Rows, including dropped routes, times one expert's matrix of weights [E, N, K]. */
  private static double grouped(Tensor rows, Tensor weights) {
    return 2.0 * rows.size(0) * weights.size(1) * weights.size(2);
  }

  /** Two products, each over the keys that a query sees. */
  private static double attention(AttentionSettings settings, AttentionInputs inputs) {
    Tensor q = inputs.q();
    long length = q.size(1);
    double pairs = 0;
    for (long position = 0; position < length; position++) {
      pairs += settings.mask() == Mask.FULL ? length : seen(settings, position);
    }
    return 4 * q.size(0) * pairs * q.size(2) * q.size(3);
  }

  private static double decode(AttentionSettings settings, Tensor q, CachePlaces places) {
    double pairs = 0;
    for (long row = 0; row < q.size(0); row++) {
      pairs += seen(settings, places.position().getInt(row));
    }
    return 4 * pairs * q.size(1) * q.size(2);
  }

  private static long seen(AttentionSettings settings, long position) {
    return position + 1 - settings.firstSeen(position);
  }
}
