package panamoe.backend.reference;

import panamoe.backend.AttentionKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.io.Words;
import panamoe.tensor.Tensor;

/**
 * Rotary position embedding (Su et al., RoFormer, 2021): pairs of a head are rotated by the angle
 * of the token's position.
 */
interface ReferenceRotary extends AttentionKernels, ReferenceContext {

  @Override
  default void rotary(
      Tensor x,
      Tensor positions,
      Tensor cosine,
      Tensor sine,
      boolean adjacent,
      int direction,
      Tensor y) {
    launch(
        () -> {
          Check.tensor("x", x, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY);
          Check.tensor("positions", positions, Kind.INT32, x.size(0));
          Check.tensor("cosine", cosine, Kind.FLOAT32, Check.ANY, Check.ANY);
          Check.tensor("sine", sine, Kind.FLOAT32, cosine.size(0), cosine.size(1));
          Check.require(
              2 * cosine.size(1) <= x.size(2),
              Words.of(
                  "cosine rotates %s dimensions, x has %s in a head",
                  2 * cosine.size(1), x.size(2)));
          Check.require(
              direction == 1 || direction == -1,
              "direction is " + direction + ", expected 1 or -1");
          Check.tensor("y", y, Kind.FLOATING, x.size(0), x.size(1), x.size(2));
          Check.sameDtype("x", x, "y", y);
          Check.disjointOrSame("x", x, "y", y);
          Check.range("positions", positions, 0, cosine.size(0));

          double[][] heads = Values.readRows(x);
          int headsPerToken = (int) x.size(1);
          int pairs = (int) cosine.size(1);
          for (int row = 0; row < heads.length; row++) {
            // Only these rows: a call needs few of a long table.
            long angles = (long) positions.getInt(row / headsPerToken) * pairs;
            double[] head = heads[row];
            for (int i = 0; i < pairs; i++) {
              int first = adjacent ? 2 * i : i;
              int second = adjacent ? 2 * i + 1 : i + pairs;
              double a = head[first];
              double b = head[second];
              double c = cosine.getFloat(angles + i);
              double s = direction * sine.getFloat(angles + i);
              head[first] = a * c - b * s;
              head[second] = b * c + a * s;
            }
          }
          Values.write(heads, y);
        });
  }
}
