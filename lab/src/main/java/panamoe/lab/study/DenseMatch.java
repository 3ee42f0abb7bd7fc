package panamoe.lab.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The dense model of an MoE model's quality: its width is found by bisection between the MoE
 * model's own and one of {@value Shapes#LARGER}, in steps of {@value #STEP}, each width with all
 * seeds.
 */
final class DenseMatch {
  private static final int STEP = 8;

  private final StudyBudget budget;
  private final Variant target;
  private final Map<Integer, Variant> trained = new TreeMap<>();

  DenseMatch(StudyBudget budget, Variant target) {
    this.budget = budget;
    this.target = target;
    dense(Shapes.HIDDEN);
    dense(Shapes.LARGER);
  }

  private Variant dense(int width) {
    return trained.computeIfAbsent(width, _ -> budget.seeds("dense-" + width, Shapes.dense(width)));
  }

  /** The models that were asked for so far, by width. */
  List<Variant> variants() {
    return List.copyOf(trained.values());
  }

  Variant smallest() {
    return dense(Shapes.HIDDEN);
  }

  /** The next width to train, after all before are trained; none if the match is found. */
  List<Variant> next(StudyResults results) {
    int middle = middle(bracket(results));
    return trained.containsKey(middle) ? List.of() : List.of(dense(middle));
  }

  /** Two trained widths, the losses of which enclose the target's if any do. */
  private int[] bracket(StudyResults results) {
    double wanted = results.bits(target).mean();
    int[] bracket = {Shapes.HIDDEN, Shapes.LARGER};
    for (int middle = middle(bracket);
        trained.containsKey(middle) && middle != bracket[0];
        middle = middle(bracket)) {
      boolean worse = results.bits(trained.get(middle)).mean() > wanted;
      bracket[worse ? 0 : 1] = middle;
    }
    return bracket;
  }

  /** Halfway, the lower one if they are neighbours. */
  private static int middle(int[] bracket) {
    return (bracket[0] + bracket[1]) / 2 / STEP * STEP;
  }

  /** The trained model whose mean is nearest to the target's. */
  Variant match(StudyResults results) {
    double wanted = results.bits(target).mean();
    List<Variant> ends = new ArrayList<>();
    for (int width : bracket(results)) {
      ends.add(trained.get(width));
    }
    boolean lower =
        Math.abs(results.bits(ends.getFirst()).mean() - wanted)
            < Math.abs(results.bits(ends.getLast()).mean() - wanted);
    return lower ? ends.getFirst() : ends.getLast();
  }

  /** Whether the target's loss lies between the narrowest model's and the widest model's. */
  boolean encloses(StudyResults results) {
    double wanted = results.bits(target).mean();
    return results.bits(dense(Shapes.HIDDEN)).mean() >= wanted
        && results.bits(dense(Shapes.LARGER)).mean() <= wanted;
  }
}
