package panamoe.op;

import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.CachePlaces;
import panamoe.backend.RelativeBias;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Attention over whole sequences, or over a key/value cache. */
public final class AttentionOp {
  private AttentionOp() {}

  /**
   * @param inputs the sinks, if any, are a parameter
   * @return [B, L, H, D]
   */
  public static Tensor forward(Pass pass, AttentionSettings settings, AttentionInputs inputs) {
    Tensor q = inputs.q();
    Tensor out = pass.allocate(q.dtype(), q.shape());
    Tensor logsumexp =
        pass.recording() ? pass.allocate(DType.FLOAT32, q.size(0), q.size(2), q.size(1)) : null;
    pass.backend().attentionForward(settings, inputs, out, logsumexp);
    pass.record(out, dout -> backward(pass, settings, inputs, out, logsumexp, dout), logsumexp);
    return out;
  }

  /**
   * Appends k, v to the cache, then lets each row of q attend to its slot. No gradients.
   *
   * @param inputs q [T, H, D], k and v [T, G, D]; sinks FLOAT32 [H] or null
   * @param places of the rows
   * @param ends INT32 [T], the last position that each row sees
   * @param bias FLOAT32 [2R + 1, H] of a {@link RelativeBias}, without sinks; null: none
   * @return [T, H, D]
   */
  public static Tensor decode(
      Pass pass,
      AttentionSettings settings,
      AttentionInputs inputs,
      CachePlaces places,
      Tensor ends,
      Tensor bias) {
    pass.backend().cacheAppend(inputs.k(), inputs.v(), places);
    CachePlaces seen = places.at(ends);
    if (bias == null) {
      return read(pass, settings, inputs.q(), inputs.sinks(), seen);
    }
    Tensor out = pass.allocate(inputs.q().dtype(), inputs.q().shape());
    RelativeBias relative = new RelativeBias(bias, places.position());
    pass.backend().attentionBiased(settings, relative, inputs.q(), seen, out);
    return out;
  }

  /** Each row of q attends to its slot of a cache, up to its position. No gradients. */
  public static Tensor read(
      Pass pass, AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places) {
    Tensor out = pass.allocate(q.dtype(), q.shape());
    pass.backend().attentionDecode(settings, q, sinks, places, out);
    return out;
  }

  private static void backward(
      Pass pass,
      AttentionSettings settings,
      AttentionInputs inputs,
      Tensor out,
      Tensor logsumexp,
      Tensor dout) {
    Tape tape = pass.tape();
    Tensor sinks = inputs.sinks();
    AttentionGradients gradients =
        new AttentionGradients(
            pass.allocate(inputs.q().dtype(), inputs.q().shape()),
            pass.allocate(inputs.k().dtype(), inputs.k().shape()),
            pass.allocate(inputs.v().dtype(), inputs.v().shape()),
            sinks == null ? null : tape.parameterGradientOrScratch(sinks, pass.scope()));
    pass.backend().attentionBackward(settings, inputs, out, logsumexp, dout, gradients);
    tape.addGradient(inputs.q(), gradients.dq());
    tape.addGradient(inputs.k(), gradients.dk());
    tape.addGradient(inputs.v(), gradients.dv());
    dout.owner().release();
  }
}
