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
   * Bits per byte over the validation batches; deterministic. Collective over the model's ranks.
   *
   * @param training length and number of the batches
   * @param observer receives every gate's routes
   */
  public static double bitsPerByte(
      Backend backend,
      LanguageModel model,
      TrainConfig training,
      TokenSequences data,
      RouteObserver observer) {
    Communicator ranks = model.parameters().ranks().data();
    int sequences = training.batch() / training.microBatches();
    int mine = sequences / ranks.size();
    long wanted = (long) training.validationBatches() * training.microBatches();
    long parts = Math.min(wanted, Math.ceilDiv(data.validationSequences(), sequences));
    double nats = 0;
    double bytes = 0;
    for (long part = 0; part < parts; part++) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Pass pass = Pass.inference(backend, scope).observedBy(observer);
        Tensor ids = scope.allocate(DType.INT32, (long) mine * training.sequence());
        Tensor targets = scope.allocate(DType.INT32, ids.shape());
        long first = part * sequences + (long) mine * ranks.rank();
        bytes += data.fillValidation(first, ids, targets);
        Sequences whole = Sequences.Whole.of(scope, ids.count(), training.sequence());
        Tensor hidden = model.forward(pass, ids, whole, null, training.recompute());
        Tensor losses = model.losses(pass, hidden, targets, 0);
        backend.synchronize();
        double sum = 0;
        for (float loss : losses.toFloats()) {
          sum += loss;
        }
        nats += sum;
      }
    }
    return ranks.allReduce(nats) / Math.log(2) / Math.round(ranks.allReduce(bytes));
  }
}
