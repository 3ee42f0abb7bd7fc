package panamoe.lab.study;

import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/**
 * A training run of the study. Parts share runs by name, so a name has one config.
 *
 * @param name also of its folder
 * @param teacher null without one
 */
record StudyRun(String name, RunConfig config, StudyRun teacher) {
  // Time of a run on one core of an idle server. The first edition's 46 runs took 112 minutes.
  private static final double SECONDS_BESIDE_TRAINING = 8;
  private static final double FLOPS_PER_SECOND = 74e9;
  private static final double UPDATES_PER_SECOND = 530e6;

  /** A sampled token costs a forward of one row, which reads all weights: about as much as ten. */
  private static final double ROWS_OF_A_SAMPLE = 10;

  long steps() {
    return config.training().schedule().steps();
  }

  long tokens() {
    return steps() * config.training().batch().tokens();
  }

  long parameters() {
    try (LanguageModel model = new LanguageModel(config.model())) {
      return model.parameters().count();
    }
  }

  /** Training FLOPs per token of the student or the only model, forward and backward. */
  double flopsPerToken() {
    TrainConfig training = config.training();
    Work work =
        Work.training(training.batch().sequences(), training.batch().length(), training.dtype());
    try (LanguageModel model = new LanguageModel(config.model())) {
      return model.cost(work).flops() / work.tokens();
    }
  }

  /** Estimated seconds. The optimizer's part grows with all experts. */
  double seconds() {
    boolean taught = teacher != null && config.distillation().alpha() > 0;
    double asked = taught ? config.distillation().stage().until() : 0;
    // A forward is a third of a step's FLOPs.
    double teacherFlops = teacher == null ? 0 : asked * teacher.flopsPerToken() / 3;
    if (teacher != null && config.distillation().onPolicyMix() != null) {
      teacherFlops += asked * ROWS_OF_A_SAMPLE / 2 * flopsPerToken() / 3; // half of the tokens
    }
    return SECONDS_BESIDE_TRAINING
        + tokens() * (flopsPerToken() + teacherFlops) / FLOPS_PER_SECOND
        + steps() * (double) parameters() / UPDATES_PER_SECOND;
  }
}
