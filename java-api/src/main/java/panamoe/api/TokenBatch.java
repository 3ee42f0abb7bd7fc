package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import panamoe.api.internal.Argument;
import panamoe.comm.Communicator;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.nn.Work;
import panamoe.op.Pass;
import panamoe.parallel.Topology;
import panamoe.tensor.Tensor;

/** The sequences of one call, copied from the caller's memory. */
final class TokenBatch {
  private static final int NO_TARGET = -1;

  /**
   * The caller's arguments.
   *
   * @param tokens INT32 [batch, length], ids
   * @param targets INT32 [batch, length], for every token the id that follows it, or -1; null
   *     without a loss
   */
  record Given(MemorySegment tokens, MemorySegment targets, int batch, int length) {}

  /**
   * Targets of a loss.
   *
   * @param ids INT32 [batch * length]
   * @param counted targets other than -1, over all ranks
   * @param data number of ranks with different tokens
   */
  record Targets(Tensor ids, double counted, Communicator data) {
    /**
     * The loss: the mean over all ranks of this rank's cross-entropies.
     *
     * @throws PanamoeException.Diverged if it is not finite
     */
    double loss(Tensor losses) {
      return finite(mean(losses));
    }

    /** A loss, unless it is not finite. */
    static double finite(double loss) {
      if (!Double.isFinite(loss)) {
        throw new PanamoeException.Diverged("the loss is " + loss, null);
      }
      return loss;
    }

    /** The mean over all ranks of this rank's losses; uncounted targets have loss 0. */
    double mean(Tensor losses) {
      return data.allReduce(losses.sum()) / counted;
    }
  }

  private final LanguageModel model;
  private final CallersMemory memory;
  private final Given given;
  private final Tensor ids;

  /**
   * Copies the tokens.
   *
   * @param training whether a backward follows
   * @throws IllegalArgumentException if the batch is empty or too large, its sequences are longer
   *     than the context, or its memory cannot be used
   * @throws OutOfMemoryError if the model's activations would not fit
   */
  TokenBatch(LanguageModel model, CallersMemory memory, Given given, boolean training) {
    Argument.require(given.batch >= 1, "batch", given.batch, "1 or more");
    int context = model.config().context();
    Argument.require(
        given.length >= 1 && given.length <= context,
        "length",
        given.length,
        "1 to " + context + ", the model's context");
    this.model = model;
    this.memory = memory;
    this.given = given;
    MoeLayer.requireTokens(tokens());
    this.ids = memory.ids("tokens", given.tokens, tokens(), 0, model.config().vocabulary() - 1);
    Topology topology = model.parameters().ranks().topology();
    Work work =
        new Work(
            training,
            false,
            given.batch,
            0,
            given.length,
            training ? tokens() : 0, // otherwise the logits are in the caller's memory
            model.activationDType(),
            topology);
    memory.requireRoom(model.cost(work), work);
  }

  /** The lengths of the sequences, [batch]. */
  int[] texts() {
    int[] texts = new int[given.batch];
    Arrays.fill(texts, given.length);
    return texts;
  }

  /**
   * Requires that every sequence has a target that counts.
   *
   * @throws IllegalArgumentException that names a sequence without one
   */
  void requireAnswers(Targets targets) {
    int[] ids = targets.ids.toInts();
    for (int i = 0; i < given.batch; i++) {
      boolean some = false;
      for (int at = i * given.length; at < (i + 1) * given.length; at++) {
        some |= ids[at] != NO_TARGET;
      }
      Require.that(some, "all targets of sequence %s are -1: it has no answer", i);
    }
  }

  /** S, the number of tokens. */
  long tokens() {
    return (long) given.batch * given.length;
  }

  /** The final hidden states [S, M]. */
  Tensor hidden(Pass pass) {
    Sequences whole = Sequences.Whole.of(pass.scope(), tokens(), given.length);
    Tensor hidden = model.forward(pass, ids, whole, null, false);
    memory.await();
    return hidden;
  }

  /**
   * Copies the targets. Collective.
   *
   * @throws IllegalArgumentException if no target counts, or their memory cannot be used
   */
  Targets targets() {
    Tensor targets =
        memory.ids("targets", given.targets, tokens(), NO_TARGET, model.config().vocabulary() - 1);
    Communicator data = model.parameters().ranks().data();
    long here = Arrays.stream(targets.toInts()).filter(target -> target != NO_TARGET).count();
    double counted = data.allReduce((double) here);
    Require.that(counted != 0, "all targets are -1: there is no loss to take the mean of");
    return new Targets(targets, counted, data);
  }
}
