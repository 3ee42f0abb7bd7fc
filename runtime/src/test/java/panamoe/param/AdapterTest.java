package panamoe.param;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.AdapterConfig;
import panamoe.op.ExpertOp;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.op.RecomputeOp;
import panamoe.op.Tape;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter.Part;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Gradients of adapters over packed weights, which get none. */
class AdapterTest {
  private static final int RANK = 2;

  /** A matrix, or a stack of them, with an adapter, and a bias. */
  private record Adapted(ParameterStore store, Parameter matrix, Parameter bias)
      implements AutoCloseable {
    static Adapted of(
        Backend backend,
        DType held,
        AdapterConfig adapter,
        int experts,
        long outputs,
        long inputs) {
      ParameterStore store = new ParameterStore();
      Declarations at = Declarations.of(store, 0.5, "it");
      Ranks.ExpertGroups groups = Ranks.alone().experts(Math.max(1, experts));
      Parameter matrix =
          experts == 0
              ? at.matrix(Part.MLP, Slice.WHOLE, outputs, inputs)
              : at.expertMatrix(groups, Slice.WHOLE, outputs, inputs);
      Parameter bias =
          experts == 0
              ? at.vector("bias", Part.MLP, Initialization.ZERO, Slice.WHOLE, outputs)
              : at.expertBias(groups, Slice.WHOLE, outputs);
      Adapters.declare(store, adapter);
      store.adapt(backend, new WeightTypes(DType.FLOAT32, held).withExact(true), 1);
      return new Adapted(store, matrix, bias);
    }

    Tensor forward(Pass pass, Tensor x, Tensor offsets, Activation activation) {
      return offsets == null
          ? LinearOp.forward(
              pass,
              x,
              matrix.value(),
              bias.value(),
              Adapter.terms(pass, matrix, x, DType.FLOAT32),
              activation,
              DType.FLOAT32)
          : ExpertOp.forward(
              pass,
              x,
              offsets,
              matrix.value(),
              bias.value(),
              Adapter.terms(pass, matrix, x, new ResidentExperts(pass, offsets, null, null)),
              activation);
    }

    Tape tape(Backend backend) {
      Tape tape = new Tape(backend);
      store.watch(tape);
      return tape;
    }

    @Override
    public void close() {
      store.close();
    }
  }

  private static double[] numbers(JsonNode array) {
    return array.valueStream().mapToDouble(JsonNode::asDouble).toArray();
  }

  private static float[] floats(JsonNode array) {
    double[] wide = numbers(array);
    float[] narrow = new float[wide.length];
    for (int i = 0; i < wide.length; i++) {
      narrow[i] = (float) wide[i];
    }
    return narrow;
  }

  private static int[] offsets(JsonNode rows) {
    int[] offsets = new int[rows.size() + 1];
    for (int i = 0; i < rows.size(); i++) {
      offsets[i + 1] = offsets[i] + rows.get(i).asInt();
    }
    return offsets;
  }

  /** Recorded by lora/make.py: autograd of the merged matrix. */
  private static void assertTorchs(
      Backend backend, String name, Activation activation, int experts, long n, long k) {
    JsonNode file =
        JsonMapper.shared().readTree(AdapterTest.class.getResourceAsStream("/lora/gradients.json"));
    JsonNode recorded = file.path(name);
    int rank = file.path("rank").asInt();
    AdapterConfig config =
        new AdapterConfig(rank, rank * file.path("scale").asDouble(), false, 0, List.of("*"));
    try (Adapted it = Adapted.of(backend, DType.FLOAT32, config, experts, n, k);
        Sample sample = new Sample(backend, 1);
        TensorScope scope = TensorScope.confined(backend)) {
      long rows = recorded.path("x").size() / k;
      backend.pack(sample.floats(floats(recorded.path("w")), it.matrix.shape()), it.matrix.value());
      it.bias.value().set(floats(recorded.path("bias")));
      Adapter adapter = it.matrix.adapter();
      adapter.a().master().set(floats(recorded.path("a")));
      adapter.b().master().set(floats(recorded.path("b")));
      Tensor x = sample.floats(floats(recorded.path("x")), rows, k);
      Tensor offsets = experts == 0 ? null : sample.integers(offsets(recorded.path("rows")));
      Tape tape = it.tape(backend);
      Tensor y = it.forward(Pass.evaluation(backend, scope, tape), x, offsets, activation);
      assertClose(numbers(recorded.path("y")), y, 1e-5);
      tape.addGradient(
          y, scope.allocate(DType.FLOAT32, y.shape()).set(floats(recorded.path("dy"))));
      tape.backward();
      assertClose(numbers(recorded.path("dx")), tape.gradient(x), 1e-5);
      assertClose(numbers(recorded.path("da")), adapter.a().gradient(), 1e-5);
      assertClose(numbers(recorded.path("db")), adapter.b().gradient(), 1e-5);
      assertNull(it.bias.gradient());
    }
  }

  @EveryBackend
  void gradientsAreThoseOfTorch(Backend backend) {
    assertTorchs(backend, "dense", Activation.SWIGLU, 0, 8, 12);
    assertTorchs(backend, "experts", Activation.GELU_TANH, 4, 6, 10);
  }

  /** So small that an activation is nearly a polynomial between two differences. */
  private static Tensor small(Backend backend, Sample sample, long... shape) {
    Tensor tensor = sample.normal(shape);
    backend.add(0.2f, tensor, 0, tensor, tensor);
    return tensor;
  }

  /** Small numbers, or blocks of random codes and scales of 2^-10. */
  private static Tensor weights(Backend backend, Sample sample, DType held, long... shape) {
    if (!held.isBlocks()) {
      return small(backend, sample, shape);
    }
    byte[] bytes = new byte[Math.toIntExact(held.bytes(Tensor.count(shape)))];
    new Random(8).nextBytes(bytes);
    for (int at = 0; at < bytes.length; at += held.blockBytes()) {
      bytes[at + 1] = (byte) (bytes[at + 1] & 0x83 | 5 << 2);
    }
    Tensor room = sample.scope().allocate(DType.UINT8, bytes.length);
    room.copyFrom(MemorySegment.ofArray(bytes));
    return room.part(0, held, shape);
  }

  private static void assertDifferences(Backend backend, DType held, int experts) {
    AdapterConfig config = new AdapterConfig(RANK, 3, true, 0, List.of("it"));
    try (Adapted it = Adapted.of(backend, held, config, experts, 6, 32);
        Sample sample = new Sample(backend, 2);
        TensorScope scope = TensorScope.confined(backend)) {
      Activation activation = experts == 0 ? Activation.SWIGLU : Activation.SILU;
      backend.pack(weights(backend, sample, held, it.matrix.shape()), it.matrix.value());
      backend.copy(small(backend, sample, it.bias.shape()), it.bias.value());
      Adapter adapter = it.matrix.adapter();
      backend.copy(small(backend, sample, adapter.b().shape()), adapter.b().master());
      Tensor x = small(backend, sample, 4, 32);
      Tensor offsets = experts == 0 ? null : sample.integers(new int[] {0, 1, 1, 4});
      Tape tape = it.tape(backend);
      Tensor y = it.forward(Pass.evaluation(backend, scope, tape), x, offsets, activation);
      Tensor dy = sample.normal(y.shape());
      tape.addGradient(y, Sample.copy(scope, dy));
      tape.backward();
      for (Tensor[] each :
          new Tensor[][] {
            {x, tape.gradient(x)},
            {adapter.a().master(), adapter.a().gradient()},
            {adapter.b().master(), adapter.b().gradient()}
          }) {
        assertGradient(
            each[0],
            each[1],
            2e-4,
            () -> {
              try (TensorScope passing = TensorScope.confined(backend)) {
                Pass pass = Pass.inference(backend, passing);
                return dot(it.forward(pass, x, offsets, activation), dy);
              }
            });
      }
    }
  }

  @EveryBackend
  void gradientsAreFiniteDifferences(Backend backend) {
    for (DType held : List.of(DType.FLOAT32, DType.INT8_BLOCKS, DType.INT4_BLOCKS)) {
      assertDifferences(backend, held, 0);
      assertDifferences(backend, held, 3);
    }
  }

  /** A matrix of experts without rows, or of a model that is not adapted, changes nothing. */
  @Test
  void aPassWithoutAdaptersIsTheModels() {
    AdapterConfig config = AdapterConfig.of(RANK, List.of("it"));
    try (Backend backend = Backends.open("cpu", 1);
        Adapted it = Adapted.of(backend, DType.FLOAT32, config, 0, 6, 32);
        Sample sample = new Sample(backend, 3);
        TensorScope scope = TensorScope.confined(backend)) {
      backend.pack(sample.normal(it.matrix.shape()), it.matrix.value());
      backend.fill(0, it.bias.value());
      Tensor x = sample.normal(4, 32);
      Pass pass = Pass.inference(backend, scope);
      Tensor fresh = it.forward(pass, x, null, Activation.IDENTITY); // B is zero
      backend.fill(1, it.matrix.adapter().b().master());
      Tensor adapted = it.forward(pass, x, null, Activation.IDENTITY);
      Tensor plain = it.forward(pass.unadapted(), x, null, Activation.IDENTITY);
      assertClose(DoubleStream.of(doubles(fresh)).toArray(), plain, 0);
      assertTrue(Math.abs(adapted.getFloat(0) - plain.getFloat(0)) > 1e-3);
    }
  }

  private static double[] doubles(Tensor tensor) {
    double[] values = new double[Math.toIntExact(tensor.count())];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.getFloat(i);
    }
    return values;
  }

  @Test
  void dropoutIsTheSameIfALayerIsRecomputed() {
    AdapterConfig config = new AdapterConfig(RANK, 2, false, 0.5, List.of("it"));
    try (Backend backend = Backends.open("cpu", 1);
        Adapted it = Adapted.of(backend, DType.FLOAT32, config, 0, 6, 32);
        Sample sample = new Sample(backend, 4);
        TensorScope scope = TensorScope.confined(backend)) {
      backend.fill(0, it.bias.value());
      backend.pack(scope.zeros(DType.FLOAT32, it.matrix.shape()), it.matrix.value());
      Adapter adapter = it.matrix.adapter();
      backend.fill(1, adapter.a().master());
      backend.fill(1, adapter.b().master());
      Tensor x = scope.allocate(DType.FLOAT32, 256, 32);
      backend.fill(1, x);
      Tensor dy = sample.normal(256, 6);
      double[][] results = new double[2][];
      for (int i = 0; i < 2; i++) {
        adapter.a().gradientSums().forget();
        Tape tape = it.tape(backend);
        Pass pass = Pass.training(backend, scope, tape, 5, 1);
        Tensor y =
            i == 0
                ? it.forward(pass, x, null, Activation.IDENTITY)
                : RecomputeOp.forward(
                    pass, x, (inner, z) -> it.forward(inner, z, null, Activation.IDENTITY));
        // Of 32 ones half are seen, twice as large: a sum of 32, times r = 2 and s = 1.
        double mean = DoubleStream.of(doubles(y)).average().orElseThrow();
        assertEquals(64, mean, 2);
        assertTrue(DoubleStream.of(doubles(y)).distinct().count() > 5);
        tape.addGradient(y, Sample.copy(scope, dy));
        tape.backward();
        results[i] = doubles(adapter.a().gradient());
        // An element that A did not see has no gradient.
        long unseen = DoubleStream.of(doubles(tape.gradient(x))).filter(g -> g == 0).count();
        assertEquals(256 * 16, unseen, 300);
      }
      assertClose(results[0], sample.floats(floatsOf(results[1]), RANK, 32), 0);
    }
  }

  private static float[] floatsOf(double[] wide) {
    float[] narrow = new float[wide.length];
    for (int i = 0; i < wide.length; i++) {
      narrow[i] = (float) wide[i];
    }
    return narrow;
  }
}
