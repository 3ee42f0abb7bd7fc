package panamoe.train;

import panamoe.comm.Communicator;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.PreferenceOp;
import panamoe.tensor.Tensor;

/** What training minimises, besides the auxiliary losses of a model's gates. */
public interface Objective extends AutoCloseable {
  /** The next token's cross-entropy. */
  Objective LANGUAGE_MODELLING =
      (pass, model, batch, _, dloss) ->
          Losses.of(
              model.head().losses(pass, batch.hidden(pass, model), batch.targets(), dloss), null);

  /**
   * The tokens of a micro-batch on this rank.
   *
   * @param first the number of its first sequence, of training or of validation
   * @param ids INT32 [S]
   * @param targets INT32 [S], -1 does not count
   * @param used UINT8 [S], 0 marks padding; null without padding
   * @param recompute whether the backward computes the layers' forward again
   */
  record Batch(
      long first,
      Tensor ids,
      Sequences.Whole sequences,
      Tensor targets,
      Tensor used,
      boolean recompute) {
    /** A model's final hidden states [S, M]. */
    public Tensor hidden(Pass pass, LanguageModel model) {
      return model.forward(pass, ids, sequences, used, recompute && pass.recording());
    }
  }

  /**
   * Sums over a batch.
   *
   * @param nats cross-entropy
   * @param divergence of the teacher from the model, nats; 0 without a teacher
   * @param pairs null: the loss is the sum of the two above
   */
  record Losses(double nats, double divergence, PreferenceOp.Sums pairs) {
    static final Losses ZERO = new Losses(0, 0, null);

    /**
     * Of each token's losses.
     *
     * @param divergences null without a teacher
     */
    public static Losses of(Tensor crossEntropies, Tensor divergences) {
      return new Losses(crossEntropies.sum(), divergences == null ? 0 : divergences.sum(), null);
    }

    Losses plus(Losses other) {
      return new Losses(
          nats + other.nats,
          divergence + other.divergence,
          pairs == null ? other.pairs : pairs.plus(other.pairs));
    }

    Losses over(Communicator ranks) {
      return new Losses(
          ranks.allReduce(nats),
          ranks.allReduce(divergence),
          pairs == null ? null : pairs.over(ranks));
    }

    /** Of which a step's loss is the mean, apart from the divergence. */
    double loss() {
      return pairs == null ? nats : pairs.loss();
    }
  }

  /**
   * Runs the model on a batch. A pass that records, records the gradient of the losses; the model's
   * last forward is this pass's.
   *
   * @param step number of steps done
   * @param dloss derivative of the step's loss by each token's or pair's loss
   */
  Losses losses(Pass pass, LanguageModel model, Batch batch, long step, float dloss);

  /** The objective of validation sequences. */
  default Objective ofValidation() {
    return LANGUAGE_MODELLING;
  }

  @Override
  default void close() {}
}
