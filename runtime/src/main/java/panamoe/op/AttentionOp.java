package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Causal attention over whole sequences, or over a key/value cache. */
public final class AttentionOp {
  private AttentionOp() {}

  /**
   * @param q [B, L, H, D]
   * @param k [B, L, G, D]
   * @param v [B, L, G, D]
   * @param window 0 for all earlier tokens
   * @return [B, L, H, D]
   */
  public static Tensor forward(Pass pass, Tensor q, Tensor k, Tensor v, float scale, long window) {
    Tensor out = pass.allocate(q.dtype(), q.shape());
    Tensor logsumexp =
        pass.recording() ? pass.allocate(DType.FLOAT32, q.size(0), q.size(2), q.size(1)) : null;
    pass.backend().attentionForward(q, k, v, scale, window, out, logsumexp);
    if (pass.recording()) {
      pass.tape()
          .record(
              out, dout -> backward(pass, q, k, v, out, logsumexp, scale, window, dout), logsumexp);
    }
    return out;
  }

  /**
   * Appends k, v to the cache, then lets each row of q attend to its slot. No gradients.
   *
   * @param q [T, H, D]
   * @param k [T, G, D]
   * @param v [T, G, D]
   * @param keys [slots, capacity, G, D]
   * @param values [slots, capacity, G, D]
   * @param slot INT32 [T]
   * @param position INT32 [T]
   * @return [T, H, D]
   */
  public static Tensor decode(
      Pass pass,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor keys,
      Tensor values,
      Tensor slot,
      Tensor position,
      float scale,
      long window) {
    Tensor out = pass.allocate(q.dtype(), q.shape());
    pass.backend().cacheAppend(k, v, slot, position, keys, values);
    pass.backend().attentionDecode(q, keys, values, slot, position, scale, window, out);
    return out;
  }

  private static void backward(
      Pass pass,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logsumexp,
      float scale,
      long window,
      Tensor dout) {
    Tensor dq = pass.allocate(q.dtype(), q.shape());
    Tensor dk = pass.allocate(k.dtype(), k.shape());
    Tensor dv = pass.allocate(v.dtype(), v.shape());
    pass.backend().attentionBackward(q, k, v, out, logsumexp, dout, scale, window, dq, dk, dv);
    Tape tape = pass.tape();
    tape.addGradient(q, dq);
    tape.addGradient(k, dk);
    tape.addGradient(v, dv);
    dout.owner().release();
  }
}
