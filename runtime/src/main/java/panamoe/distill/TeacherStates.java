package panamoe.distill;

import panamoe.model.Head;
import panamoe.op.Pass;
import panamoe.tensor.Tensor;
import panamoe.train.Objective;

/** The source of a teacher's final hidden states: its forward, or a cache. */
interface TeacherStates extends AutoCloseable {
  /**
   * @param batch of a training step
   * @return [S, M] of the teacher, allocated from the pass
   */
  Tensor hidden(Pass pass, Objective.Batch batch);

  /** Makes the teacher's logits. */
  Head head();

  @Override
  void close();
}
