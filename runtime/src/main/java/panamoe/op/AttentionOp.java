package panamoe.op;

import java.util.ArrayList;
import java.util.List;
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

  /** Consecutive sequences of one length, which a kernel computes together. */
  private record Run(long row, long batch, long length) {
    static List<Run> of(int[] lengths) {
      List<Run> runs = new ArrayList<>();
      long row = 0;
      for (int first = 0, end; first < lengths.length; first = end) {
        end = first + 1;
        while (end < lengths.length && lengths[end] == lengths[first]) {
          end++;
        }
        runs.add(new Run(row, end - first, lengths[first]));
        row += (long) (end - first) * lengths[first];
      }
      return runs;
    }

    /** Its rows of [S, N, D] as [B, L, N, D]; null for null. */
    Tensor of(Tensor rows) {
      return rows == null
          ? null
          : rows.rows(row, row + batch * length).reshape(batch, length, rows.size(1), rows.size(2));
    }

    /** Its part of statistics [S, H], ordered [B, H, L]; null for null. */
    Tensor statistics(Tensor all) {
      return all == null
          ? null
          : all.rows(row, row + batch * length).reshape(batch, all.size(1), length);
    }

    AttentionInputs of(AttentionInputs rows) {
      return new AttentionInputs(of(rows.q()), of(rows.k()), of(rows.v()), rows.sinks());
    }
  }

  /**
   * Attention within sequences that follow each other; none sees another.
   *
   * @param rows q [S, H, D], k and v [S, G, D]; the sinks, if any, are a parameter
   * @param lengths of the sequences in tokens, S in total
   * @return [S, H, D]
   */
  public static Tensor forward(
      Pass pass, AttentionSettings settings, AttentionInputs rows, int... lengths) {
    Tensor q = rows.q();
    Tensor out = pass.allocate(q.dtype(), q.shape());
    Tensor logsumexp = pass.recording() ? pass.allocate(DType.FLOAT32, q.size(0), q.size(1)) : null;
    List<Run> runs = Run.of(lengths);
    for (Run run : runs) {
      pass.backend()
          .attentionForward(settings, run.of(rows), run.of(out), run.statistics(logsumexp));
    }
    pass.record(out, dout -> backward(pass, settings, rows, runs, out, logsumexp, dout), logsumexp);
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
      List<Run> runs,
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
    for (Run run : runs) {
      pass.backend()
          .attentionBackward(
              settings,
              run.of(inputs),
              run.of(out),
              run.statistics(logsumexp),
              run.of(dout),
              new AttentionGradients(
                  run.of(gradients.dq()),
                  run.of(gradients.dk()),
                  run.of(gradients.dv()),
                  gradients.dsinks()));
    }
    tape.addGradient(inputs.q(), gradients.dq());
    tape.addGradient(inputs.k(), gradients.dk());
    tape.addGradient(inputs.v(), gradients.dv());
    dout.owner().release();
  }
}
