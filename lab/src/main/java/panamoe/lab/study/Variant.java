package panamoe.lab.study;

import java.util.List;

/**
 * One side of a comparison.
 *
 * @param runs one for each seed
 */
record Variant(String name, List<Run> runs) {
  Run first() {
    return runs.getFirst();
  }

  long parameters() {
    return first().parameters();
  }
}
