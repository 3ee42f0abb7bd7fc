package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** A whole model as another framework uses it. */
class TrainableModelTest {
  private static final int BATCH = 2;
  private static final int LENGTH = 5;
  private static final int VOCABULARY = 11;
  private static final ModelSettings DENSE = ModelSettings.of(VOCABULARY, 8, 8, 2, List.of(0, 0));
  private static final ModelSettings MOE =
      ModelSettings.of(VOCABULARY, 8, 8, 2, List.of(0, 4)).withTopK(2);
  private static final ModelSettings PR_MOE =
      ModelSettings.of(VOCABULARY, 8, 8, 2, List.of(2, 4)).withResidual(true);

  private static int[] random(long seed) {
    return new Random(seed).ints(BATCH * LENGTH, 0, VOCABULARY).toArray();
  }

  private static MemorySegment ints(Arena arena, int... values) {
    return arena.allocateFrom(ValueLayout.JAVA_INT, values);
  }

  /** One target does not count. */
  private static MemorySegment targets(Arena arena) {
    int[] targets = random(2);
    targets[3] = -1;
    return ints(arena, targets);
  }

  static Stream<String> devices() {
    return Stream.of(System.getProperty("panamoe.test.backends", "reference,cpu,simt").split(","));
  }

  static Stream<Arguments> architectures() {
    return Stream.of(
        Arguments.of("dense", DENSE),
        Arguments.of("MoE, top-2", MOE),
        Arguments.of("PR-MoE", PR_MOE),
        Arguments.of("dropping by a drawn priority", PR_MOE.withCapacityFactor(1)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("architectures")
  void gradientsMatchFiniteDifferences(String architecture, ModelSettings settings) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("reference", 1);
        TrainableModel model = TrainableModel.create(device, settings, 7)) {
      MemorySegment tokens = ints(arena, random(1));
      MemorySegment targets = targets(arena);
      try (ModelStep step = model.train(tokens, targets, BATCH, LENGTH, 5)) {
        step.backward();
        assertThrows(IllegalStateException.class, step::backward);
      }
      for (String name : model.parameters().names()) {
        MemorySegment memory = model.parameters().value(name);
        Random random = new Random(name.hashCode());
        for (int probe = 0; probe < 3; probe++) {
          long index = random.nextLong(memory.byteSize() / Float.BYTES);
          float saved = memory.getAtIndex(ValueLayout.JAVA_FLOAT, index);
          float step = 2e-3f; // small enough that no probe moves a token to another expert
          memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, saved + step);
          double above = objective(model, tokens, targets);
          memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, saved - step);
          double below = objective(model, tokens, targets);
          memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, saved);
          double expected = (above - below) / (2 * step);
          double actual =
              model.parameters().gradient(name).getAtIndex(ValueLayout.JAVA_FLOAT, index);
          assertEquals(
              expected, actual, 1e-3 + 1e-2 * Math.abs(expected), name + "[" + index + "]");
        }
      }
    }
  }

  private static double objective(
      TrainableModel model, MemorySegment tokens, MemorySegment targets) {
    try (ModelStep step = model.train(tokens, targets, BATCH, LENGTH, 5)) {
      return step.loss() + model.settings().gate().auxiliaryCoefficient() * step.auxiliaryLoss();
    }
  }

  @Test
  void aStudentsGradientsMatchFiniteDifferences() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("reference", 1);
        TrainableModel teacher = TrainableModel.create(device, DENSE, 3);
        TrainableModel student = TrainableModel.create(device, PR_MOE, 7)) {
      MemorySegment tokens = ints(arena, random(1));
      MemorySegment targets = targets(arena);
      MemorySegment logits =
          arena.allocate(ValueLayout.JAVA_FLOAT, (long) BATCH * LENGTH * VOCABULARY);
      teacher.forward(tokens, logits, BATCH, LENGTH);
      Teacher taught = new Teacher(logits, 0.5, 2);
      try (ModelStep step = student.distil(tokens, targets, taught, BATCH, LENGTH, 5)) {
        assertTrue(step.divergence() > 0);
        step.backward();
      }
      for (String name : student.parameters().names()) {
        MemorySegment memory = student.parameters().value(name);
        long index = new Random(name.hashCode()).nextLong(memory.byteSize() / Float.BYTES);
        float saved = memory.getAtIndex(ValueLayout.JAVA_FLOAT, index);
        double[] around = new double[2];
        for (int side = 0; side < 2; side++) {
          float moved = saved + (side == 0 ? 2e-3f : -2e-3f);
          memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, moved);
          try (ModelStep step = student.distil(tokens, targets, taught, BATCH, LENGTH, 5)) {
            around[side] =
                step.loss()
                    + 0.5 * 4 * step.divergence()
                    + PR_MOE.gate().auxiliaryCoefficient() * step.auxiliaryLoss();
          }
        }
        memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, saved);
        double expected = (around[0] - around[1]) / 4e-3;
        double actual =
            student.parameters().gradient(name).getAtIndex(ValueLayout.JAVA_FLOAT, index);
        assertEquals(expected, actual, 1e-3 + 1e-2 * Math.abs(expected), name);
      }
      Teacher small = new Teacher(tokens, 0.5, 1);
      for (Teacher wrong : new Teacher[] {small, null}) {
        assertThrows(
            PanamoeException.BadArgument.class,
            () -> student.distil(tokens, targets, wrong, BATCH, LENGTH, 5));
      }
    }
  }

  /** The runtime's own computation of the model. */
  @ParameterizedTest
  @MethodSource("devices")
  void lossLogitsAndGradientsAreTheRuntimes(String deviceName) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(deviceName, 2);
        TrainableModel model = TrainableModel.create(device, PR_MOE, 7);
        Backend backend = Backends.open(deviceName, 1);
        LanguageModel expected = new LanguageModel(PR_MOE.toConfig());
        TensorScope scope = TensorScope.confined(backend)) {
      expected.materialize(backend, DType.FLOAT32, true, 7);
      Tape tape = new Tape(backend);
      expected.parameters().watch(tape);
      Pass pass = Pass.training(backend, scope, tape, 5, 1);
      Tensor positions =
          scope.allocate(DType.INT32, BATCH * LENGTH).set(0, 1, 2, 3, 4, 0, 1, 2, 3, 4);
      Tensor hidden =
          expected.forward(
              pass,
              scope.allocate(DType.INT32, BATCH * LENGTH).set(random(1)),
              new Sequences.Whole(BATCH, LENGTH, positions),
              null,
              false);
      float[] logits = expected.head().logits(Pass.inference(backend, scope), hidden).toFloats();
      int[] wanted = targets(arena).toArray(ValueLayout.JAVA_INT);
      int counted = BATCH * LENGTH - 1;
      Tensor losses =
          expected
              .head()
              .losses(
                  pass,
                  hidden,
                  scope.allocate(DType.INT32, BATCH * LENGTH).set(wanted),
                  1f / counted);
      double loss = 0;
      for (float each : losses.toFloats()) {
        loss += each;
      }
      tape.backward();

      MemorySegment tokens = ints(arena, random(1));
      MemorySegment targets = targets(arena);
      MemorySegment output =
          arena.allocate(ValueLayout.JAVA_FLOAT, (long) BATCH * LENGTH * VOCABULARY);
      model.forward(tokens, output, BATCH, LENGTH);
      assertArrayEquals(logits, output.toArray(ValueLayout.JAVA_FLOAT));
      assertEquals(loss / counted, model.loss(tokens, targets, BATCH, LENGTH));
      try (ModelStep step = model.train(tokens, targets, BATCH, LENGTH, 5)) {
        assertEquals(loss / counted, step.loss());
        step.backward();
      }
      assertEquals(expected.parameters().count(), model.parameterCount());
      for (Parameter parameter : expected.parameters().parameters()) {
        assertArrayEquals(parameter.shape(), model.parameters().shape(parameter.name()));
        float[] gradient = new float[(int) parameter.count()];
        model.parameters().readGradient(parameter.name(), MemorySegment.ofArray(gradient));
        assertArrayEquals(parameter.gradient().toFloats(), gradient, 1e-6f, parameter.name());
      }
    }
  }

  @Test
  void onlyABackwardAddsToGradientsAndEveryOneDoes() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, PR_MOE, 7)) {
      MemorySegment tokens = ints(arena, random(1));
      MemorySegment targets = targets(arena);
      model.train(tokens, targets, BATCH, LENGTH, 5).close();
      for (String name : model.parameters().names()) {
        float[] gradient = model.parameters().gradient(name).toArray(ValueLayout.JAVA_FLOAT);
        assertArrayEquals(new float[gradient.length], gradient, name);
      }
      String name = "embedding.weight";
      backward(model, tokens, targets);
      float[] once = model.parameters().gradient(name).toArray(ValueLayout.JAVA_FLOAT);
      backward(model, tokens, targets);
      float[] twice = model.parameters().gradient(name).toArray(ValueLayout.JAVA_FLOAT);
      for (int i = 0; i < once.length; i++) {
        assertEquals(2 * once[i], twice[i], 1e-6f);
      }
      model.parameters().zeroGradients();
      backward(model, tokens, targets);
      assertArrayEquals(once, model.parameters().gradient(name).toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  private static void backward(TrainableModel model, MemorySegment tokens, MemorySegment targets) {
    try (ModelStep step = model.train(tokens, targets, BATCH, LENGTH, 5)) {
      step.backward();
    }
  }

  @Test
  void tellsWhatEveryGateDecided() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, MOE, 7);
        ModelStep step = model.train(ints(arena, random(1)), targets(arena), BATCH, LENGTH, 5)) {
      GateStatistics gate = step.gates().get(0); // of layer 1: layer 0 is dense
      assertEquals(1, gate.layer());
      assertEquals(4, gate.tokensPerExpert().size());
      assertEquals(BATCH * LENGTH * 2, gate.tokensPerExpert().stream().mapToLong(n -> n).sum());
      assertEquals(0, gate.dropped());
      assertTrue(step.auxiliaryLoss() > 0.5, () -> "auxiliary loss " + step.auxiliaryLoss());
    }
  }

  /** Only the adapters move, and the saved folder opens as the model with them. */
  @Test
  void theExampleOfAdaptersLearns(@TempDir Path folder) {
    Path base = folder.resolve("base");
    Path adapted = folder.resolve("adapted");
    ModelSettings settings = ModelSettings.of(256, 64, 32, 2, List.of(0, 4));
    try (Device device = Device.open("cpu", 1);
        TrainableModel model = TrainableModel.create(device, settings, 3)) {
      model.save(base, 0, Map.of());
    }
    double[] losses = AdaptersExample.run(base, adapted);
    assertTrue(losses[1] < 0.8 * losses[0], Arrays.toString(losses));
    ModelFolder opened = ModelFolder.open(adapted);
    assertEquals(List.of("attention", "experts"), opened.adapters().targets());
    try (Backend backend = Backends.open("cpu", 1)) {
      opened.load(backend, DType.FLOAT32).close();
    }
    try (Device device = Device.open("cpu", 1)) {
      try (TrainableModel model = TrainableModel.load(device, adapted)) {
        assertEquals(30, model.stepsBefore());
      }
      assertBadModel(
          adapted + " has adapters already",
          () -> adapt(device, adapted, Adapters.of(4, "attention")));
      assertBadArgument(
          "the target convolution matches no matrix of the model; there are ",
          () -> adapt(device, base, Adapters.of(4, "convolution")));
      assertBadArgument("rank is 0, expected", () -> Adapters.of(0, "attention"));
      assertBadArgument("targets is empty", () -> Adapters.of(2));
    }
  }

  private static TrainableModel adapt(Device device, Path folder, Adapters adapters) {
    return TrainableModel.adapt(device, folder, adapters, Execution.FLOAT32, 1);
  }

  /** After a step the model differs from its reference, which its weights still are. */
  @Test
  void adaptersPreferAgainstTheirOwnWeights(@TempDir Path folder) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1)) {
      try (TrainableModel model = TrainableModel.create(device, MOE, 3)) {
        model.save(folder, 0, Map.of());
      }
      try (TrainableModel model = adapt(device, folder, Adapters.of(2, "attention", "experts"));
          AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL)) {
        assertTrue(model.parameters().names().stream().allMatch(name -> name.contains(".lora_")));
        MemorySegment tokens = ints(arena, random(1));
        MemorySegment targets = targets(arena);
        double[] reference = model.referenceLogProbabilities(tokens, targets, BATCH, LENGTH);
        assertArrayEquals(reference, model.logProbabilities(tokens, targets, BATCH, LENGTH));
        MemorySegment logits = arena.allocate(4L * BATCH * LENGTH * VOCABULARY);
        assertBadArgument(
            "a model with adapters does not learn from a teacher",
            () -> model.distil(tokens, targets, new Teacher(logits, 0.5, 2), BATCH, LENGTH, 5));
        try (ModelStep step =
            model.prefer(tokens, targets, new Preference(1, reference), BATCH, LENGTH, 1)) {
          assertEquals(0, step.margin());
          step.backward();
        }
        optimizer.step(1e-2);
        assertArrayEquals(
            reference, model.referenceLogProbabilities(tokens, targets, BATCH, LENGTH));
        try (ModelStep step =
            model.prefer(tokens, targets, new Preference(1, reference), BATCH, LENGTH, 1)) {
          assertTrue(step.margin() > 0, () -> "margin " + step.margin());
        }
      }
    }
  }

  private static void assertBadModel(String begin, Executable call) {
    String message = assertThrows(PanamoeException.BadModel.class, call).getMessage();
    assertTrue(message.startsWith(begin), message);
  }

  @Test
  void theExampleOfMasksLearnsTheAnswer() {
    double[] losses = MaskedExample.run();
    assertTrue(losses[1] < losses[0] / 10, Arrays.toString(losses));
  }

  @Test
  void theExampleOfPreferencesLearnsThem() {
    double[] losses = PreferenceExample.run();
    assertEquals(Math.log(2), losses[0], 1e-4);
    assertTrue(losses[1] < losses[0] / 2, Arrays.toString(losses));
    assertEquals(1, losses[2]);
  }

  @ParameterizedTest
  @MethodSource("devices")
  void gradientsOfPreferencesMatchFiniteDifferences(String name) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(name, 1);
        TrainableModel model = TrainableModel.create(device, DENSE, 7)) {
      MemorySegment tokens = ints(arena, random(1));
      MemorySegment targets = targets(arena);
      Preference preference = new Preference(0.5, new double[] {-9, -11});
      double[] own = model.logProbabilities(tokens, targets, BATCH, LENGTH);
      try (ModelStep step = model.prefer(tokens, targets, preference, BATCH, LENGTH, 5)) {
        assertEquals(0.5 * (own[0] + 9 - (own[1] + 11)), step.margin(), 1e-5);
        assertEquals(Math.log1p(Math.exp(-step.margin())), step.loss(), 1e-12);
        step.backward();
      }
      for (String parameter : model.parameters().names()) {
        float[] values =
            new float
                [(int)
                    Arrays.stream(model.parameters().shape(parameter)).reduce(1, (a, b) -> a * b)];
        model.parameters().read(parameter, MemorySegment.ofArray(values));
        float[] gradient = new float[values.length];
        model.parameters().readGradient(parameter, MemorySegment.ofArray(gradient));
        int index = new Random(parameter.hashCode()).nextInt(values.length);
        float saved = values[index];
        double[] around = new double[2];
        for (int side = 0; side < 2; side++) {
          values[index] = saved + (side == 0 ? 2e-3f : -2e-3f);
          model.parameters().write(parameter, MemorySegment.ofArray(values));
          try (ModelStep step = model.prefer(tokens, targets, preference, BATCH, LENGTH, 5)) {
            around[side] = step.loss();
          }
        }
        values[index] = saved;
        model.parameters().write(parameter, MemorySegment.ofArray(values));
        double expected = (around[0] - around[1]) / 4e-3;
        assertEquals(expected, gradient[index], 2e-3 + 1e-2 * Math.abs(expected), parameter);
      }
    }
  }

  @Test
  void preferencesThatDoNotFitAreRefused() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("reference", 1);
        TrainableModel model = TrainableModel.create(device, DENSE, 7)) {
      MemorySegment tokens = ints(arena, random(1));
      MemorySegment targets = targets(arena);
      Preference one = new Preference(0.1, new double[1]);
      assertBadArgument(
          "there are 2 sequences and 1 log-probabilities of the reference",
          () -> model.prefer(tokens, targets, one, BATCH, LENGTH, 5));
      assertBadArgument(
          "there are 1 sequences and 1 log-probabilities",
          () -> model.prefer(tokens, targets, one, 1, LENGTH, 5));
      assertBadArgument(
          "preference is null", () -> model.prefer(tokens, targets, null, BATCH, LENGTH, 5));
      for (long at = LENGTH; at < 2 * LENGTH; at++) {
        targets.setAtIndex(ValueLayout.JAVA_INT, at, -1);
      }
      assertBadArgument(
          "all targets of sequence 1 are -1: it has no answer",
          () -> model.logProbabilities(tokens, targets, BATCH, LENGTH));
      assertBadArgument("beta is 0.0, expected", () -> new Preference(0, new double[2]));
      assertBadArgument(
          "a log-probability is NaN, expected a finite number",
          () -> new Preference(1, new double[] {0, Double.NaN}));
      assertBadArgument("logProbabilities is null", () -> new Preference(1, null));
    }
  }

  private static void assertBadArgument(String begin, Executable call) {
    String message = assertThrows(PanamoeException.BadArgument.class, call).getMessage();
    assertTrue(message.startsWith(begin), message);
  }

  @Test
  void theExampleLearns() {
    double[] losses = TrainableModelExample.run();
    assertTrue(losses[1] < losses[0] / 2, () -> Arrays.toString(losses));
  }

  @ParameterizedTest
  @MethodSource("devices")
  void refusesWhatDoesNotFit(String deviceName) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open(deviceName, 1);
        TrainableModel model = TrainableModel.create(device, MOE, 7)) {
      MemorySegment good = ints(arena, random(1));
      MemorySegment small = arena.allocate(4);
      refused("bytes", model, small, good, BATCH, LENGTH);
      refused("bytes", model, good, small, BATCH, LENGTH);
      refused("heap", model, MemorySegment.ofArray(random(1)), good, BATCH, LENGTH);
      refused("aligned", model, arena.allocate(100).asSlice(1), good, BATCH, LENGTH);
      refused("batch is 0", model, good, good, 0, LENGTH);
      refused("length is 0", model, good, good, BATCH, 0);
      refused("length is 9, expected 1 to 8", model, good, good, 1, 9);
      refused("tokens is 17179869176", model, good, good, Integer.MAX_VALUE, 8);
      refused("tokens[1] is 11, expected 0 to 10", model, ints(arena, 0, VOCABULARY), good, 1, 2);
      refused("tokens[0] is -1, expected 0 to 10", model, ints(arena, -1, 0), good, 1, 2);
      refused("targets[1] is 11, expected -1 to 10", model, good, ints(arena, 0, VOCABULARY), 1, 2);
      refused("all targets are -1", model, good, ints(arena, -1, -1), 1, 2);
      assertThrows(
          PanamoeException.BadArgument.class, () -> model.forward(good, small, BATCH, LENGTH));
      MemorySegment readOnly =
          arena.allocate(ValueLayout.JAVA_FLOAT, BATCH * LENGTH * VOCABULARY).asReadOnly();
      assertThrows(
          PanamoeException.BadArgument.class, () -> model.forward(good, readOnly, BATCH, LENGTH));
      assertThrows(
          PanamoeException.BadArgument.class, () -> model.parameters().gradient("nothing"));
      assertTrue(Double.isFinite(model.loss(good, good, BATCH, LENGTH)));
    }
  }

  private static void refused(
      String why,
      TrainableModel model,
      MemorySegment tokens,
      MemorySegment targets,
      int batch,
      int length) {
    String said =
        assertThrows(
                PanamoeException.BadArgument.class,
                () -> model.train(tokens, targets, batch, length, 1),
                why)
            .getMessage();
    assertTrue(said.contains(why), said);
    assertThrows(
        PanamoeException.BadArgument.class, () -> model.loss(tokens, targets, batch, length), why);
  }

  @Test
  void whatIsClosedIsAnExceptionNotACrash() {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1)) {
      TrainableModel model = TrainableModel.create(device, MOE, 7);
      MemorySegment tokens = ints(arena, random(1));
      MemorySegment targets = targets(arena);
      ModelStep closed = model.train(tokens, targets, BATCH, LENGTH, 1);
      closed.close();
      closed.close();
      assertThrows(IllegalStateException.class, closed::backward);

      Arena early = Arena.ofConfined();
      MemorySegment gone = ints(early, random(1));
      try (ModelStep step = model.train(gone, targets, BATCH, LENGTH, 1)) {
        early.close();
        step.backward(); // the ids were copied
        assertThrows(
            IllegalStateException.class, () -> model.train(tokens, gone, BATCH, LENGTH, 1));
      }
      try (ModelStep open = model.train(tokens, targets, BATCH, LENGTH, 1)) {
        model.close();
        model.close();
        assertThrows(IllegalStateException.class, open::backward);
      }
      assertThrows(
          IllegalStateException.class, () -> model.train(tokens, targets, BATCH, LENGTH, 1));
      assertThrows(IllegalStateException.class, () -> model.loss(tokens, targets, BATCH, LENGTH));
      assertThrows(IllegalStateException.class, () -> model.parameters().value("embedding.weight"));
      assertThrows(IllegalStateException.class, model.parameters()::zeroGradients);
      assertFalse(model.parameters().names().isEmpty());
    }
  }
}
