package panamoe.train;

import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.Tensor;

/** What training minimises, besides the auxiliary losses of a model's gates. */
public interface Objective extends AutoCloseable {
  /** The next token's cross-entropy. */
  Objective LANGUAGE_MODELLING =
      (pass, model, hidden, batch, _, dloss) ->
          new Losses(model.head().losses(pass, hidden, batch.targets(), dloss), null);

  /**
   * The tokens of a micro-batch on this rank.
   *
   * @param first the number of its first training sequence
   * @param ids INT32 [S]
   * @param targets INT32 [S], -1 does not count
   */
  record Batch(long first, Tensor ids, Sequences sequences, Tensor targets) {}

  /**
   * @param crossEntropy FLOAT32 [S], nats
   * @param divergence of the teacher from the model, FLOAT32 [S], nats; null without a teacher
   */
  record Losses(Tensor crossEntropy, Tensor divergence) {}

  /**
   * Each token's losses; the pass records their gradient.
   *
   * @param hidden the model's final hidden states [S, M] for the batch
   * @param step number of steps done
   * @param dloss derivative of the step's loss by each token's loss
   */
  Losses losses(Pass pass, LanguageModel model, Tensor hidden, Batch batch, long step, float dloss);

  @Override
  default void close() {}
}
