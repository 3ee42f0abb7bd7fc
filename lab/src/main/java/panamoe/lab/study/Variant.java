package panamoe.lab.study;

import java.util.List;

/**
 * One side of a comparison.
 *
 * @param runs one per seed
 */
record Variant(String name, List<StudyRun> runs) {
  StudyRun first() {
    return runs.getFirst();
  }

  long parameters() {
    return first().parameters();
  }
}
