package panamoe.distill;

import panamoe.model.Head;
import panamoe.model.LanguageModel;
import panamoe.op.Pass;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.train.Objective;

/**
 * A teacher that runs in every step. It runs in evaluation mode: deterministic, without dropping
 * tokens, without gradients. Each rank has a whole copy and runs it on its own tokens.
 *
 * @param model loaded for inference; closed with this
 */
record Teacher(LanguageModel model) implements TeacherStates {
  @Override
  public Tensor hidden(Pass pass, Objective.Batch batch) {
    try (TensorScope scope = TensorScope.confined(pass.backend())) {
      Tensor hidden = batch.hidden(Pass.inference(pass.backend(), scope), model);
      Tensor kept = pass.allocate(hidden.dtype(), hidden.shape());
      pass.backend().copy(hidden, kept);
      return kept;
    }
  }

  @Override
  public Head head() {
    return model.head();
  }

  @Override
  public void close() {
    model.close();
  }
}
