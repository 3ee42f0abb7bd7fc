package panamoe.backend.reference;

import panamoe.backend.Routes;
import panamoe.backend.reference.Check.Kind;

/** The index of each route's row in the buffer of rows grouped by expert. */
record RouteTable(int[][] rows) {
  /** Checks shapes and dtypes of the tables. */
  static void check(Routes routes, long tokens) {
    Check.tensor("expert", routes.expert(), Kind.INT32, tokens, Check.ANY);
    Check.tensor("position", routes.position(), Kind.INT32, tokens, routes.expert().size(1));
    Check.tensor("offsets", routes.offsets(), Kind.INT32, Check.ANY);
    Check.require(
        routes.offsets().size(0) >= 2,
        "offsets is " + routes.offsets() + ", expected at least 2 elements");
  }

  /**
   * Reads tables of checked shapes.
   *
   * @throws IllegalArgumentException if a value leads outside its expert's rows, or past {@code
   *     rowCount} rows
   */
  static RouteTable read(Routes routes, long rowCount) {
    Check.offsets(routes.offsets(), rowCount);
    int[] starts = routes.offsets().toInts();
    int experts = starts.length - 1;
    int tokens = (int) routes.expert().size(0);
    int choices = (int) routes.expert().size(1);
    int[][] rows = new int[tokens][choices];
    for (int s = 0; s < tokens; s++) {
      for (int k = 0; k < choices; k++) {
        int expert = routes.expert().getInt((long) s * choices + k);
        int position = routes.position().getInt((long) s * choices + k);
        String place = "[" + s + ", " + k + "] is ";
        Check.require(
            expert >= -1 && expert < experts,
            "expert" + place + expert + ", expected -1 or 0 to " + (experts - 1));
        if (expert == -1) {
          rows[s][k] = -1;
          continue;
        }
        int size = starts[expert + 1] - starts[expert];
        Check.require(
            position >= 0 && position < size,
            "position" + place + position + ", outside expert " + expert + "'s " + size + " rows");
        rows[s][k] = starts[expert] + position;
      }
    }
    return new RouteTable(rows);
  }

  /** The row of each route of token s, best choice first; -1 dropped. */
  int[] rows(int s) {
    return rows[s];
  }
}
