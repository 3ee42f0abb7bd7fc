package panamoe.op;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Sets random elements to zero; the caller scales the others. */
public final class DropoutOp {
  private DropoutOp() {}

  /**
   * x with about {@code share} of its elements zero: the same ones whenever the same place asks in
   * passes of one seed, so also if a layer is recomputed.
   *
   * @param share 0 to 1
   * @param place unique in the model
   */
  public static Tensor forward(Pass pass, Tensor x, float share, String place) {
    CRC32C checksum = new CRC32C();
    checksum.update(place.getBytes(StandardCharsets.UTF_8));
    long stream = pass.seed() ^ checksum.getValue() << 32;
    Tensor y = pass.allocate(x.dtype(), x.shape());
    drop(pass, stream, share, x, y);
    pass.record(
        y,
        dy -> {
          drop(pass, stream, share, dy, dy);
          pass.tape().addGradient(x, dy.owner());
        });
    return y;
  }

  private static void drop(Pass pass, long stream, float share, Tensor x, Tensor y) {
    Tensor numbers = pass.allocate(DType.FLOAT32, x.shape());
    pass.backend().randomUniform(stream, pass.batch().rank() * x.count(), numbers);
    pass.backend().clampBackward(1 - share, numbers, x, y); // x where a number is at most 1 - share
    numbers.release();
  }
}
