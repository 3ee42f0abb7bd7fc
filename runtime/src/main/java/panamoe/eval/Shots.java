package panamoe.eval;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import panamoe.data.Permutation;
import panamoe.io.Require;

/**
 * Solved examples before each task (few-shot). Each task gets its own, drawn without repetition by
 * the seed and the task's number.
 *
 * @param examples to draw from, of one kind; not the tasks that are asked
 * @param count examples before a task, 0 for none
 */
public record Shots(List<Task> examples, int count, long seed) {
  /** No examples. */
  public static final Shots NONE = new Shots(List.of(), 0, 0);

  private static final String BETWEEN = "\n\n";

  public Shots {
    examples = List.copyOf(examples);
    Require.that(
        count >= 0 && count <= examples.size(),
        "%s examples are asked for, but there are %s to draw from",
        count,
        examples.size());
  }

  /**
   * The task after its examples.
   *
   * @param number of the task
   * @throws IllegalArgumentException if the examples are of another kind
   */
  Task before(Task task, long number) {
    if (count == 0) {
      return task;
    }
    List<Task> drawn = new ArrayList<>(examples);
    Collections.shuffle(drawn, new Random(Permutation.mix(seed ^ Permutation.mix(number))));
    StringBuilder before = new StringBuilder();
    for (Task example : drawn.subList(0, count)) {
      Require.that(
          example.kind() == task.kind(),
          "an example is of kind %s, the task of kind %s",
          example.kind(),
          task.kind());
      before.append(example.solved()).append(BETWEEN);
    }
    return task.after(before.toString());
  }
}
