package panamoe.lab.study;

import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/**
 * A training run of the study. Parts share runs by name: one name is one config.
 *
 * @param name of its folder
 * @param teacher null without one
 */
record Run(String name, RunConfig config, Run teacher) {
  // A run's time on two cores of a server without other load, fitted to runs of this study's
  // shapes.
  private static final double SECONDS_BESIDE_TRAINING = 8;
  private static final double FLOPS_PER_SECOND = 55e9;
  private static final double UPDATES_PER_SECOND = 400e6;

  long tokens() {
    return config.training().schedule().steps() * config.training().batch().tokens();
  }

  long parameters() {
    try (LanguageModel model = new LanguageModel(config.model())) {
      return model.parameters().count();
    }
  }

  /** FLOPs of the student's or only model, forward and backward, for each token of training. */
  double flopsPerToken() {
    TrainConfig training = config.training();
    Work work =
        Work.training(training.batch().sequences(), training.batch().length(), training.dtype());
    try (LanguageModel model = new LanguageModel(config.model())) {
      return model.cost(work).flops() / work.tokens();
    }
  }

  /** How long it takes about, of which the optimizer's part grows with all experts. */
  double seconds() {
    double asked = teacher == null ? 0 : config.distillation().stage().until();
    // A forward is a third of a step's FLOPs.
    double teacherFlops = teacher == null ? 0 : asked * teacher.flopsPerToken() / 3;
    return SECONDS_BESIDE_TRAINING
        + tokens() * (flopsPerToken() + teacherFlops) / FLOPS_PER_SECOND
        + config.training().schedule().steps() * (double) parameters() / UPDATES_PER_SECOND;
  }
}
