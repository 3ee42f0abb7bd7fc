package panamoe.train;

import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.data.TokenSequences;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Measures a model on the validation part of a text. */
public final class Validation {
  private Validation() {}

  /**
   * A model's score on the validation batches.
   *
   * @param pairs null: the text has none
   */
  public record Score(double bitsPerByte, PairMetrics pairs) {
    /** Which of two models is better: lower is. */
    double criterion() {
      return pairs == null ? bitsPerByte : pairs.loss();
    }
  }

  /**
   * Bits per byte over the validation batches; deterministic. Collective over the model's ranks.
   *
   * @param training gives length and number of the batches
   * @param observer receives every gate's routes
   */
  public static double bitsPerByte(
      Backend backend,
      LanguageModel model,
      TrainConfig training,
      TokenSequences data,
      RouteObserver observer) {
    Objective objective = Objective.LANGUAGE_MODELLING;
    return score(backend, model, training, data, objective, 0, observer).bitsPerByte();
  }

  /**
   * Like {@link #bitsPerByte}, of an objective.
   *
   * @param step number of steps done
   */
  static Score score(
      Backend backend,
      LanguageModel model,
      TrainConfig training,
      TokenSequences data,
      Objective objective,
      long step,
      RouteObserver observer) {
    Communicator ranks = model.parameters().ranks().data();
    int sequences = training.batch().microSequences();
    int mine = sequences / ranks.size();
    int length = training.batch().length();
    Objective.Losses sum = Objective.Losses.ZERO;
    double bytes = 0;
    for (long part = 0; part < parts(training, data); part++) {
      long first = part * sequences + (long) mine * ranks.rank();
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor ids = scope.allocate(DType.INT32, (long) mine * length);
        Tensor targets = scope.allocate(DType.INT32, ids.shape());
        TokenSequences.Filled filled = data.fillValidation(first, ids, targets);
        Sequences.Whole whole = Sequences.Whole.packed(scope, length, filled.texts());
        Objective.Batch batch =
            new Objective.Batch(first, ids, whole, targets, filled.used(scope), false);
        Pass pass = Pass.inference(backend, scope).observedBy(observer);
        sum = sum.plus(objective.losses(pass, model, batch, step, 0));
        bytes += filled.bytes();
      }
    }
    sum = sum.over(ranks);
    return new Score(
        sum.nats() / Math.log(2) / Math.round(ranks.allReduce(bytes)),
        PairMetrics.of(sum.pairs(), losses(training, data)));
  }

  /** The number of predicted tokens, or of pairs. */
  public static long losses(TrainConfig training, TokenSequences data) {
    return data.validationLosses(parts(training, data) * training.batch().microSequences());
  }

  private static long parts(TrainConfig training, TokenSequences data) {
    TrainConfig.Batch batch = training.batch();
    long wanted = (long) training.checkpoints().validationBatches() * batch.microBatches();
    return Math.min(wanted, Math.ceilDiv(data.validationSequences(), batch.microSequences()));
  }
}
