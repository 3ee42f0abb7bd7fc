package panamoe.backend.reference;

import panamoe.backend.DispatchKernels;
import panamoe.backend.Routes;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** Tokens to rows grouped by expert: one copy a route, no arithmetic. */
interface ReferenceDispatch extends DispatchKernels, ReferenceContext {

  @Override
  default void dispatchForward(Tensor x, Routes routes, Tensor rows) {
    launch(
        () -> {
          check("x", x, routes, "rows", rows);
          RouteTable table = RouteTable.read(routes, rows.size(0));
          double[][] tokens = Values.readRows(x);
          double[][] grouped = Values.readRows(rows);
          for (int s = 0; s < tokens.length; s++) {
            for (int row : table.rows(s)) {
              if (row >= 0) {
                grouped[row] = tokens[s];
              }
            }
          }
          Values.write(grouped, rows);
        });
  }

  @Override
  default void dispatchBackward(Tensor drows, Routes routes, Tensor dx) {
    launch(
        () -> {
          check("dx", dx, routes, "drows", drows);
          RouteTable table = RouteTable.read(routes, drows.size(0));
          double[][] grouped = Values.readRows(drows);
          double[][] tokens = Values.zeroRows(dx);
          for (int s = 0; s < tokens.length; s++) {
            for (int row : table.rows(s)) {
              if (row >= 0) {
                Vectors.addScaled(tokens[s], 1, grouped[row]);
              }
            }
          }
          Values.write(tokens, dx);
        });
  }

  private static void check(
      String tokensName, Tensor tokens, Routes routes, String rowsName, Tensor rows) {
    Check.tensor(tokensName, tokens, Kind.FLOATING, Check.ANY, Check.ANY);
    Check.tensor(rowsName, rows, Kind.FLOATING, Check.ANY, tokens.size(1));
    RouteTable.check(routes, tokens.size(0));
    Check.disjoint(tokensName, tokens, rowsName, rows);
  }
}
