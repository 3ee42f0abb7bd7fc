package panamoe.backend.reference;

import panamoe.backend.EmbeddingKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** Rows of a table by id, and the gradient added back to those rows. */
interface ReferenceEmbedding extends EmbeddingKernels, ReferenceContext {

  @Override
  default void embeddingForward(
      Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor y) {
    launch(
        () -> {
          Check.tensor("ids", ids, Kind.INT32, Check.ANY);
          Check.weights("table", table, Check.ANY, Check.ANY);
          Check.together("positions", positions, "positionTable", positionTable);
          Check.optional("positions", positions, Kind.INT32, ids.size(0));
          Check.optional("positionTable", positionTable, Kind.FLOATING, Check.ANY, table.size(1));
          Check.tensor("y", y, Kind.FLOATING, ids.size(0), table.size(1));
          Check.disjoint("table", table, "y", y);
          Check.disjoint("positionTable", positionTable, "y", y);
          double[][] sum = Values.zeroRows(y);
          gather("ids", ids, table, sum);
          if (positions != null) {
            gather("positions", positions, positionTable, sum);
          }
          Values.write(sum, y);
        });
  }

  @Override
  default void embeddingBackward(
      Tensor ids, Tensor positions, Tensor dy, Tensor dtable, Tensor dpositionTable) {
    launch(
        () -> {
          Check.tensor("ids", ids, Kind.INT32, Check.ANY);
          Check.tensor("dtable", dtable, Kind.FLOAT32, Check.ANY, Check.ANY);
          Check.together("positions", positions, "dpositionTable", dpositionTable);
          Check.optional("positions", positions, Kind.INT32, ids.size(0));
          Check.tensor("dy", dy, Kind.FLOATING, ids.size(0), dtable.size(1));
          Check.optional("dpositionTable", dpositionTable, Kind.FLOAT32, Check.ANY, dtable.size(1));
          Check.disjoint("dy", dy, "dtable", dtable);
          Check.disjoint("dy", dy, "dpositionTable", dpositionTable);
          Check.disjoint("dtable", dtable, "dpositionTable", dpositionTable);
          Check.range("ids", ids, 0, dtable.size(0));
          if (positions != null) {
            Check.range("positions", positions, 0, dpositionTable.size(0));
            scatter(positions, dy, dpositionTable);
          }
          scatter(ids, dy, dtable);
        });
  }

  private static void gather(String name, Tensor ids, Tensor table, double[][] sum) {
    Check.range(name, ids, 0, table.size(0));
    double[][] rows = Values.readRows(table);
    for (int s = 0; s < sum.length; s++) {
      Vectors.addScaled(sum[s], 1, rows[ids.getInt(s)]);
    }
  }

  private static void scatter(Tensor ids, Tensor dy, Tensor dtable) {
    double[][] gradients = Values.readRows(dy);
    double[][] rows = Values.readRows(dtable);
    for (int s = 0; s < gradients.length; s++) {
      Vectors.addScaled(rows[ids.getInt(s)], 1, gradients[s]);
    }
    Values.write(rows, dtable);
  }
}
