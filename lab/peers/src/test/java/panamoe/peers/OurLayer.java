package panamoe.peers;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.SplittableRandom;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.harness.ComputeType;
import panamoe.lab.bench.BenchKind;
import panamoe.lab.bench.LayerShape;
import panamoe.lab.bench.PeerRequest;
import panamoe.moe.MoeLayer;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Our layer over the same weights and tokens, to compare peers with. */
final class OurLayer {
  private static final int TOKENS = 37;
  private static final long SEED = 7;

  private OurLayer() {}

  /** Asserts that {@code library} computes what our reference backend computes. */
  static void agreesWith(PeerLibrary library, LayerShape shape, float tolerance) throws Exception {
    LayerWeights weights = new LayerWeights(shape, SEED);
    float[] x = new float[TOKENS * shape.hidden()];
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    float[] theirs;
    try (PeerLayer layer = library.layer(shape, 1, weights);
        PeerLayer.Batch batch = layer.over(x)) {
      theirs = batch.output();
    }
    assertArrayEquals(output(shape, weights, x), theirs, tolerance);
  }

  /**
   * Asserts that {@code library} answers requests, also after changes of tokens and weights, and
   * refuses bfloat16.
   */
  static void isAskedOf(PeerLibrary library) throws Exception {
    PeerRequest.Work two =
        new PeerRequest.Work(
            BenchKind.MOE_LAYER, "loop", 16, 32, 4, 2, true, 3, ComputeType.F32, 1);
    PeerRequest.Work one =
        new PeerRequest.Work(
            BenchKind.MOE_LAYER, "loop", 32, 16, 4, 1, false, 1, ComputeType.F32, 1);
    try (PeerRun run = new LayerRun(library)) {
      assertEquals(1, run.burst(new PeerRequest(two, 5, 2, 1e-9, null)).length);
      assertEquals(1, run.burst(new PeerRequest(two, 70, 2, 1e-9, null)).length);
      assertEquals(1, run.burst(new PeerRequest(one, 70, 2, 1e-9, null)).length);
      PeerRequest.Work bfloat16 =
          new PeerRequest.Work(
              BenchKind.MOE_LAYER, "loop", 16, 32, 4, 2, true, 3, ComputeType.BF16, 1);
      Exception error =
          assertThrows(
              IllegalArgumentException.class,
              () -> run.burst(new PeerRequest(bfloat16, 5, 2, 1e-9, null)));
      assertEquals("dtype is bf16, expected f32", error.getMessage());
    }
  }

  private static float[] output(LayerShape shape, LayerWeights weights, float[] x) {
    try (Backend backend = Backends.open("reference", 1);
        ParameterStore store = new ParameterStore();
        TensorScope scope = TensorScope.confined(backend)) {
      MoeLayer layer =
          new MoeLayer(Declarations.of(store, 1, "layer"), 0, shape.hidden(), shape.config());
      store.materialize(backend, DType.FLOAT32, false, SEED);
      set(store, "layer.gate.weight", weights.router());
      float[][] up = new float[shape.experts()][];
      float[][] down = new float[shape.experts()][];
      for (int e = 0; e < shape.experts(); e++) {
        up[e] = weights.up(e);
        down[e] = weights.down(e);
      }
      set(store, "layer.experts.up.weight", up);
      set(store, "layer.experts.down.weight", down);
      Tensor input = scope.allocate(DType.FLOAT32, TOKENS, shape.hidden());
      input.set(x);
      Tensor y = scope.allocate(DType.FLOAT32, TOKENS, shape.hidden());
      layer.forwardInto(Pass.inference(backend, scope), input, null, y);
      return y.toFloats();
    }
  }

  private static void set(ParameterStore store, String name, float[]... parts) {
    float[] values = new float[Arrays.stream(parts).mapToInt(part -> part.length).sum()];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, values, at, part.length);
      at += part.length;
    }
    store.parameters().stream()
        .filter(parameter -> parameter.name().equals(name))
        .findFirst()
        .orElseThrow()
        .value()
        .set(values);
  }
}
