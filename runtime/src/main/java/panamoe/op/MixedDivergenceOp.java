package panamoe.op;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import panamoe.backend.Backend;
import panamoe.backend.GemmKernels;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Divergence of a student's logits {@code s = hidden weights^T} from a teacher's t on some rows:
 * {@code (1 - mix) KL(p || q) + mix KL(q || p)} with p = softmax(s / T) and q = softmax(t / T). The
 * first term is the reverse divergence, under which the student avoids what the teacher would not
 * write; the second is {@link DistillationOp}'s. Products run on the backend, in blocks of rows;
 * the host forms the divergences in float64, for which a GPU waits.
 */
public final class MixedDivergenceOp {
  private static final int ROWS = 256;

  private MixedDivergenceOp() {}

  /**
   * The rows of a batch of sequences that count.
   *
   * @param length rows of a sequence
   * @param from the first row of each sequence that counts
   */
  public record Tails(int length, int from) {}

  /** One block of rows: logits and, on the way back, their gradients. */
  private record Block(MemorySegment student, MemorySegment teacher, int vocabulary) {
    float student(long row, int token) {
      return student.getAtIndex(ValueLayout.JAVA_FLOAT, row * vocabulary + token);
    }

    float teacher(long row, int token) {
      return teacher.getAtIndex(ValueLayout.JAVA_FLOAT, row * vocabulary + token);
    }
  }

  /**
   * The divergence of each row in nats, FLOAT32 [S], 0 for rows that do not count. With a tape, the
   * gradients of {@code dloss weight divergence} are formed in one sweep.
   *
   * @param hidden [S, M]
   * @param weights [V, M]
   * @param logitCap soft cap of the student's logits; 0 for none
   * @param teacher with weights; its own {@code weight} is the factor of the gradients
   * @param mix share of the forward divergence, 0 to 1
   * @param dloss derivative of the objective by each row's divergence
   */
  public static Tensor forward(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      float logitCap,
      DistillationOp.Teacher teacher,
      double mix,
      Tails tails,
      float dloss) {
    Tensor divergences = pass.scope().zeros(DType.FLOAT32, hidden.size(0));
    Tensor dhidden = pass.recording() ? pass.scope().zeros(hidden.dtype(), hidden.shape()) : null;
    Tensor dweights = pass.recording() ? pass.tape().parameterGradient(weights) : null;
    Divergence divergence =
        new Divergence(teacher.temperature(), mix, logitCap, (double) dloss * teacher.weight());
    for (long start = 0; start < hidden.size(0); start += tails.length()) {
      long end = Math.min(hidden.size(0), start + tails.length());
      for (long from = start + tails.from(); from < end; from += ROWS) {
        long to = Math.min(end, from + ROWS);
        try (TensorScope scope = TensorScope.confined(pass.backend())) {
          Tensor x = hidden.rows(from, to);
          Tensor s = logits(pass.backend(), scope, x, weights, logitCap);
          Tensor t =
              logits(
                  pass.backend(),
                  scope,
                  teacher.hidden().rows(from, to),
                  teacher.weights(),
                  teacher.logitCap());
          divergence.ofRows(s, t, divergences.rows(from, to));
          if (dhidden != null) {
            GemmKernels.Epilogue none = GemmKernels.Epilogue.NONE;
            pass.backend().gemm(false, false, false, s, weights, dhidden.rows(from, to), none);
            if (dweights != null) {
              pass.backend().gemm(true, false, true, s, x, dweights, none);
            }
          }
          pass.backend().synchronize(); // before the block's memory is freed
        }
      }
    }
    if (dhidden != null) {
      pass.record(() -> pass.tape().addGradient(hidden, dhidden));
    }
    return divergences;
  }

  private static Tensor logits(
      Backend backend, TensorScope scope, Tensor hidden, Tensor weights, float cap) {
    Tensor y = scope.allocate(DType.FLOAT32, hidden.size(0), weights.size(0));
    backend.gemm(false, true, false, hidden, weights, y, GemmKernels.Epilogue.NONE);
    if (cap > 0) {
      backend.softCap(cap, y, y);
    }
    return y;
  }

  /**
   * @param factor of the gradients
   */
  private record Divergence(double temperature, double mix, double cap, double factor) {
    /** Writes each row's divergence, and replaces the student's logits by their gradients. */
    void ofRows(Tensor student, Tensor teacher, Tensor divergences) {
      HostView gradients = HostView.of(student);
      gradients.read();
      HostView results = HostView.of(divergences);
      int vocabulary = Math.toIntExact(student.size(1));
      Block block = new Block(gradients.memory(), HostView.elements(teacher), vocabulary);
      double[] logP = new double[vocabulary];
      double[] logQ = new double[vocabulary];
      for (long row = 0; row < student.size(0); row++) {
        long of = row;
        Arrays.setAll(logP, token -> block.student(of, token) / temperature);
        Arrays.setAll(logQ, token -> block.teacher(of, token) / temperature);
        normalize(logP);
        normalize(logQ);
        double reverse = 0;
        double forward = 0;
        for (int token = 0; token < vocabulary; token++) {
          double difference = logP[token] - logQ[token];
          reverse += Math.exp(logP[token]) * difference;
          forward -= Math.exp(logQ[token]) * difference;
        }
        double divergence = (1 - mix) * reverse + mix * forward;
        results.memory().setAtIndex(ValueLayout.JAVA_FLOAT, row, (float) divergence);
        for (int token = 0; token < vocabulary; token++) {
          double p = Math.exp(logP[token]);
          double slope =
              (1 - mix) * p * (logP[token] - logQ[token] - reverse)
                  + mix * (p - Math.exp(logQ[token]));
          double bent = cap > 0 ? block.student(row, token) / cap : 0;
          gradients
              .memory()
              .setAtIndex(
                  ValueLayout.JAVA_FLOAT,
                  row * vocabulary + token,
                  (float) (factor / temperature * slope * (1 - bent * bent)));
        }
      }
      gradients.write();
      results.write();
    }

    /** Logits to log probabilities. */
    private static void normalize(double[] logits) {
      double most = Arrays.stream(logits).max().orElseThrow();
      double sum = 0;
      for (double logit : logits) {
        sum += Math.exp(logit - most);
      }
      double shift = most + Math.log(sum);
      for (int token = 0; token < logits.length; token++) {
        logits[token] -= shift;
      }
    }
  }
}
