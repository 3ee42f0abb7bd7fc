package panamoe.harness.conformance.torch;

import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Replay;

/**
 * {@code KL(teacher || student)} of softmaxes at a temperature T, for which there is no kernel:
 * with t and s the logits over T it is the teacher's mean of {@code t - s}, less logsumexp(t), plus
 * logsumexp(s); its gradient by the student's logits is {@code (p_s - p_t) / T}.
 *
 * @param byRow [N]
 * @param gradient of each row's divergence [N, C]
 */
record Divergence(float[] byRow, float[] gradient) {
  static final String NOTE =
      "no distillation kernel: means and softmaxes within the attention kernel";

  static Divergence of(
      Replay replay, float[] teacher, float[] student, double temperature, int classes) {
    float[] t = Layouts.scaled(teacher, 1 / temperature);
    float[] s = Layouts.scaled(student, 1 / temperature);
    float[] difference = new float[t.length];
    for (int i = 0; i < t.length; i++) {
      difference[i] = t[i] - s[i];
    }
    Softmax ofTeacher = Softmax.of(replay, t, difference, classes);
    Softmax ofStudent = Softmax.of(replay, s, difference, classes);
    float[] byRow = new float[t.length / classes];
    for (int row = 0; row < byRow.length; row++) {
      byRow[row] = ofTeacher.mean()[row] - ofTeacher.logSumExp()[row] + ofStudent.logSumExp()[row];
    }
    float[] gradient = new float[t.length];
    for (int i = 0; i < gradient.length; i++) {
      gradient[i] =
          (float) ((ofStudent.probability()[i] - ofTeacher.probability()[i]) / temperature);
    }
    return new Divergence(byRow, gradient);
  }
}
