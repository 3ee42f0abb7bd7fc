package panamoe.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.train.AdamW.Moments;

/**
 * Parameters with the same replicas, whose gradients and updates share a collective: one large
 * parameter, or many small ones, for which a separate collective would cost more than their bytes.
 * Their concatenated elements are split evenly over the replicas, so a replica may get all of one
 * parameter and nothing of another.
 */
final class Bucket {
  /**
   * Parameters of up to this many elements are copied into a common bucket; a larger one is sent
   * alone, from its own memory.
   */
  static final long SMALL = 1 << 16;

  static final long MOST = 1 << 20;

  private final Communicator replicas;
  private final long elements;
  private final long[] shares;
  private final List<Moments> moments = new ArrayList<>();
  // All elements to send: the single parameter's own memory, or a buffer with a view for each
  // parameter in `wholes`.
  private Tensor gradients;
  private Tensor masters;
  private final List<Tensor> wholes = new ArrayList<>();
  // A buffer for this rank's share, because a collective may not read and write the same memory;
  // and each parameter's part of it.
  private Tensor share;
  private final List<Tensor> parts = new ArrayList<>();

  private Bucket(TensorScope scope, List<Parameter> parameters) {
    this.replicas = parameters.getFirst().replicas();
    this.elements = parameters.stream().mapToLong(Parameter::count).sum();
    this.shares = shares(0, elements);
    long from = 0;
    for (Parameter parameter : parameters) {
      moments.add(Moments.of(scope, parameter, shares(from, parameter.count())));
      from += parameter.count();
    }
  }

  /** Assigns the parameters that have replicas to buckets, in the order of their declaration. */
  static List<Bucket> of(ParameterStore store, TensorScope scope) {
    List<List<Parameter>> buckets = new ArrayList<>();
    Map<Communicator, List<Parameter>> open = new LinkedHashMap<>();
    for (Parameter parameter : store.trained()) {
      if (parameter.replicas().size() == 1) {
        continue;
      }
      boolean small = parameter.count() <= SMALL;
      List<Parameter> bucket = small ? open.get(parameter.replicas()) : null;
      if (bucket == null
          || bucket.stream().mapToLong(Parameter::count).sum() + parameter.count() > MOST) {
        bucket = new ArrayList<>();
        buckets.add(bucket);
      }
      if (small) {
        open.put(parameter.replicas(), bucket);
      }
      bucket.add(parameter);
    }
    return buckets.stream().map(parameters -> new Bucket(scope, parameters)).toList();
  }

  List<Moments> moments() {
    return moments;
  }

  /**
   * The number of elements that are copied into a buffer; 0 for a parameter that is sent from its
   * own memory.
   */
  long copied() {
    return moments.size() == 1 ? 0 : elements;
  }

  long share() {
    return shares[replicas.rank()];
  }

  /**
   * Sets the buffers. Buckets may share them, because only one is in use at a time.
   *
   * @param all FLOAT32, at least {@link #copied} elements
   * @param share FLOAT32, at least {@link #share} elements
   */
  void use(Tensor all, Tensor share) {
    this.share = share.rows(0, share());
    boolean alone = moments.size() == 1;
    this.gradients = alone ? moments.getFirst().views().gradients() : all.rows(0, elements);
    this.masters = alone ? moments.getFirst().views().masters() : gradients;
    long from = 0;
    long mine = 0;
    for (Moments each : moments) {
      if (!alone) {
        wholes.add(all.rows(from, from += each.parameter().count()));
      }
      parts.add(share.rows(mine, mine += each.count()));
    }
  }

  /** Reduces this rank's share of the gradients over the replicas. */
  void sumGradients(Backend backend) {
    for (int i = 0; i < wholes.size(); i++) {
      backend.copy(moments.get(i).views().gradients(), wholes.get(i));
    }
    replicas.at("the gradient of " + name());
    replicas.reduceScatter(gradients, share, shares);
    for (int i = 0; i < moments.size(); i++) {
      backend.copy(parts.get(i), moments.get(i).views().gradient());
    }
  }

  /** Gathers the replicas' updated shares of the masters. */
  void gatherUpdates(Backend backend) {
    for (int i = 0; i < moments.size(); i++) {
      backend.copy(moments.get(i).views().master(), parts.get(i));
    }
    replicas.at("the update of " + name());
    replicas.allGather(share, masters, shares);
    for (int i = 0; i < wholes.size(); i++) {
      backend.copy(wholes.get(i), moments.get(i).views().masters());
    }
  }

  private String name() {
    String first = moments.getFirst().parameter().name();
    return moments.size() == 1 ? first : first + " to " + moments.getLast().parameter().name();
  }

  /** The number of elements of {@code [from, from + count)} in each replica's share. */
  private long[] shares(long from, long count) {
    long[] shares = new long[replicas.size()];
    for (int i = 0; i < shares.length; i++) {
      long first = Math.max(from, elements * i / shares.length);
      long end = Math.min(from + count, elements * (i + 1) / shares.length);
      shares[i] = Math.max(0, end - first);
    }
    return shares;
  }
}
