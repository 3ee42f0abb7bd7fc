package panamoe.api;

import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.op.DistillationOp;
import panamoe.op.Pass;
import panamoe.op.PreferenceOp;
import panamoe.tensor.Tensor;

/**
 * The losses of a step, as means over all ranks.
 *
 * @param divergence 0 without a teacher
 * @param margin 0 without pairs, like the accuracy
 */
record StepLosses(double loss, double divergence, double margin, double accuracy) {
  /** What a step minimises. */
  interface Objective {
    /** Records the gradient; collective. */
    StepLosses of(Forward forward);
  }

  /**
   * The forward of a step.
   *
   * @param hidden [S, M]
   */
  record Forward(
      Pass pass,
      LanguageModel model,
      CallersMemory memory,
      TokenBatch batch,
      TokenBatch.Targets targets,
      Tensor hidden) {
    private float dloss() {
      return (float) (1 / targets.counted());
    }
  }

  static StepLosses crossEntropy(Forward on) {
    Tensor losses = on.model.head().losses(on.pass, on.hidden, on.targets.ids(), on.dloss());
    return new StepLosses(on.targets.loss(losses), 0, 0, 0);
  }

  static Objective taught(Teacher teacher) {
    return on -> {
      int classes = on.model.config().vocabulary();
      Tensor logits =
          on.memory.input("the teacher's logits", teacher.logits(), on.batch.tokens(), classes);
      DistillationOp.Teacher asked =
          new DistillationOp.Teacher((float) teacher.temperature(), teacher.weight(), logits, null);
      DistillationOp.Losses losses =
          on.model.head().losses(on.pass, on.hidden, asked, on.targets.ids(), on.dloss());
      return new StepLosses(
          on.targets.loss(losses.crossEntropies()), on.targets.mean(losses.divergences()), 0, 0);
    };
  }

  static Objective preferring(Preference preference) {
    return on -> {
      int[] texts = on.batch.texts();
      double[] reference = preference.logProbabilities();
      Require.that(
          texts.length % 2 == 0 && reference.length == texts.length,
          "there are %s sequences and %s log-probabilities of the reference, expected two of each for every pair",
          texts.length,
          reference.length);
      on.batch.requireAnswers(on.targets);
      double pairs = on.targets.data().allReduce(texts.length / 2.0);
      PreferenceOp.Sums sums =
          on.model
              .head()
              .losses(
                  on.pass,
                  on.hidden,
                  texts,
                  on.targets.ids(),
                  new PreferenceOp.Reference(preference.beta(), reference),
                  1 / pairs)
              .over(on.targets.data());
      double loss = TokenBatch.Targets.finite(sums.loss() / pairs);
      return new StepLosses(loss, 0, sums.margin() / pairs, sums.right() / pairs);
    };
  }
}
