package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.backend.CachePlaces;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

class AttentionOpTest {
  private static final int[] LENGTHS = {3, 2, 2, 1};

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
        Tensor q = sample.normal(8, 2, 3);
        Tensor k = sample.normal(8, 1, 3);
        Tensor v = sample.normal(8, 1, 3);
        Tensor sinks = sample.normal(2);
        Tensor dout = sample.normal(8, 2, 3);
        AttentionInputs inputs = new AttentionInputs(q, k, v, sinks);
        Tensor dsinks = sample.floats(new float[2], 2);
        Tape tape = new Tape(backend);
        tape.watch(sinks, new Gradient(backend, dsinks));
        Tensor out =
            AttentionOp.forward(Pass.evaluation(backend, scope, tape), settings, inputs, LENGTHS);
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
                  return dot(AttentionOp.forward(pass, settings, inputs, LENGTHS), dout);
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
      Tensor q = sample.normal(5, 2, 3);
      Tensor sinks = sample.normal(2);
      Tensor[] dq = new Tensor[2];
      for (int watched = 0; watched < 2; watched++) {
        Tape tape = new Tape(backend);
        if (watched == 1) {
          tape.watch(sinks, new Gradient(backend, sample.floats(new float[2], 2)));
        }
        Pass pass = Pass.evaluation(backend, scope, tape);
        AttentionInputs inputs = new AttentionInputs(q, q, q, sinks);
        Tensor out = AttentionOp.forward(pass, AttentionSettings.causal(1), inputs, 5);
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
      Tensor q = sample.normal(6, 4, 5);
      Tensor k = sample.normal(6, 2, 5);
      Tensor v = sample.normal(6, 2, 5);
      Tensor sinks = sample.normal(4);
      Tensor whole = AttentionOp.forward(pass, settings, new AttentionInputs(q, k, v, sinks), 6);
      CachePlaces places =
          new CachePlaces(
              sample.unset(3, 4, 2, 5),
              sample.unset(3, 4, 2, 5),
              sample.integers(new int[] {2, 0}).reshape(1, 2),
              sample.integers(new int[6]),
              sample.integers(new int[] {0, 1, 2, 3, 4, 5}));
      Tensor rows =
          AttentionOp.decode(
              pass, settings, new AttentionInputs(q, k, v, sinks), places, places.position(), null);
      assertClose(whole, rows, 1e-6);
    }
  }

  /** Output and gradients of a sequence have the bits that it has alone. */
  @EveryBackend
  void aSequenceDoesNotDependOnItsNeighbours(Backend backend) {
    try (Sample sample = new Sample(backend, 4);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor q = sample.normal(8, 2, 3);
      Tensor k = sample.normal(8, 1, 3);
      Tensor v = sample.normal(8, 1, 3);
      Tensor dout = sample.normal(8, 2, 3);
      for (AttentionSettings settings : SETTINGS) {
        List<float[]> together = results(scope, backend, settings, List.of(q, k, v, dout), LENGTHS);
        int from = 0;
        for (int length : LENGTHS) {
          int to = from + length;
          int first = from;
          List<Tensor> own =
              Stream.of(q, k, v, dout).map(tensor -> tensor.rows(first, to)).toList();
          List<float[]> alone = results(scope, backend, settings, own, length);
          for (int i = 0; i < alone.size(); i++) {
            int row = alone.get(i).length / length;
            assertArrayEquals(
                alone.get(i), Arrays.copyOfRange(together.get(i), from * row, to * row));
          }
          from = to;
        }
      }
    }
  }

  /** The output, and the gradients of q, k and v. */
  private static List<float[]> results(
      TensorScope scope,
      Backend backend,
      AttentionSettings settings,
      List<Tensor> given,
      int... lengths) {
    AttentionInputs inputs = new AttentionInputs(given.get(0), given.get(1), given.get(2));
    Tape tape = new Tape(backend);
    Tensor out =
        AttentionOp.forward(Pass.evaluation(backend, scope, tape), settings, inputs, lengths);
    Tensor upstream = scope.allocate(out.dtype(), out.shape());
    backend.copy(given.get(3), upstream);
    float[] values = out.toFloats();
    tape.addGradient(out, upstream);
    tape.backward();
    return List.of(
        values,
        tape.gradient(inputs.q()).toFloats(),
        tape.gradient(inputs.k()).toFloats(),
        tape.gradient(inputs.v()).toFloats());
  }
}
