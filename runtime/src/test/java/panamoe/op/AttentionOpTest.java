package panamoe.op;

import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.util.List;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.backend.CachePlaces;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

class AttentionOpTest {
  private static final List<AttentionSettings> SETTINGS =
      List.of(
          AttentionSettings.causal(0.6f),
          AttentionSettings.causal(2, 0.6f),
          AttentionSettings.full(0.6f));

  @EveryBackend
  void gradientsOfInputsAndSinksMatchFiniteDifferences(Backend backend) {
    for (AttentionSettings settings : SETTINGS) {
      try (Sample sample = new Sample(backend, 1);
          TensorScope scope = TensorScope.confined(backend)) {
        Tensor q = sample.normal(2, 4, 2, 3);
        Tensor k = sample.normal(2, 4, 1, 3);
        Tensor v = sample.normal(2, 4, 1, 3);
        Tensor sinks = sample.normal(2);
        Tensor dout = sample.normal(2, 4, 2, 3);
        AttentionInputs inputs = new AttentionInputs(q, k, v, sinks);
        Tensor dsinks = sample.floats(new float[2], 2);
        Tape tape = new Tape(backend);
        tape.watch(sinks, new Gradient(backend, dsinks));
        Tensor out = AttentionOp.forward(Pass.evaluation(backend, scope, tape), settings, inputs);
        Tensor upstream = scope.allocate(dout.dtype(), dout.shape());
        backend.copy(dout, upstream);
        tape.addGradient(out, upstream);
        tape.backward();
        Tensor[][] pairs = {
          {q, tape.gradient(q)}, {k, tape.gradient(k)}, {v, tape.gradient(v)}, {sinks, dsinks}
        };
        for (Tensor[] pair : pairs) {
          assertGradient(
              pair[0],
              pair[1],
              5e-4,
              () -> {
                try (TensorScope probe = TensorScope.confined(backend)) {
                  Pass pass = Pass.inference(backend, probe);
                  return dot(AttentionOp.forward(pass, settings, inputs), dout);
                }
              });
        }
      }
    }
  }

  /** A frozen parameter has no gradient, and the other gradients are unchanged. */
  @EveryBackend
  void frozenSinksLeaveTheOtherGradientsAsTheyAre(Backend backend) {
    try (Sample sample = new Sample(backend, 2);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor q = sample.normal(1, 5, 2, 3);
      Tensor sinks = sample.normal(2);
      Tensor[] dq = new Tensor[2];
      for (int watched = 0; watched < 2; watched++) {
        Tape tape = new Tape(backend);
        if (watched == 1) {
          tape.watch(sinks, new Gradient(backend, sample.floats(new float[2], 2)));
        }
        Pass pass = Pass.evaluation(backend, scope, tape);
        AttentionInputs inputs = new AttentionInputs(q, q, q, sinks);
        Tensor out = AttentionOp.forward(pass, AttentionSettings.causal(1), inputs);
        Tensor upstream = scope.allocate(out.dtype(), out.shape());
        backend.fill(1, upstream);
        tape.addGradient(out, upstream);
        tape.backward();
        dq[watched] = tape.gradient(q);
      }
      assertSameBits(dq[0], dq[1]);
    }
  }

  @EveryBackend
  void decodingGivesTheRowsOfTheForward(Backend backend) {
    try (Sample sample = new Sample(backend, 3);
        TensorScope scope = TensorScope.confined(backend)) {
      Pass pass = Pass.inference(backend, scope);
      AttentionSettings settings = AttentionSettings.causal(3, 0.5f);
      Tensor q = sample.normal(1, 6, 4, 5);
      Tensor k = sample.normal(1, 6, 2, 5);
      Tensor v = sample.normal(1, 6, 2, 5);
      Tensor sinks = sample.normal(4);
      Tensor whole = AttentionOp.forward(pass, settings, new AttentionInputs(q, k, v, sinks));
      CachePlaces places =
          new CachePlaces(
              sample.unset(3, 4, 2, 5),
              sample.unset(3, 4, 2, 5),
              sample.integers(new int[] {2, 0}).reshape(1, 2),
              sample.integers(new int[6]),
              sample.integers(new int[] {0, 1, 2, 3, 4, 5}));
      Tensor rows =
          AttentionOp.decode(
              pass,
              settings,
              new AttentionInputs(
                  q.reshape(6, 4, 5), k.reshape(6, 2, 5), v.reshape(6, 2, 5), sinks),
              places,
              places.position(),
              null);
      assertClose(whole.reshape(6, 4, 5), rows, 1e-6);
    }
  }
}
