package panamoe.distill;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.abi.NativeBackend;
import panamoe.checkpoint.Checkpoint;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.data.TokenSequences;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.train.DistillationConfig;
import panamoe.train.DistillationConfig.Fall;
import panamoe.train.DistillationConfig.Stage;
import panamoe.train.MemoryForecast;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.StepMetrics;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;
import panamoe.train.TrainingFailure;

/** {@link Distillation} and {@link TeacherCache} as the objective of a trainer. */
class DistillationTest {
  private static final ModelConfig DEEP =
      new UniformModel(
              257,
              64,
              128,
              new UniformModel.Attention(4, 4, UniformModel.Positions.ROTARY),
              new UniformModel.FeedForward(
                  512, Activation.GELU_TANH, List.of(0, 4, 0, 8), true, GateConfig.dropless(1)),
              NormConfig.Kind.LAYER,
              true,
              0.05)
          .toConfig();
  private static final int SEQUENCE = 64;

  /** Tokens that count upwards from the sequence's number. */
  private static final TokenSequences DATA =
      new TokenSequences() {
        @Override
        public int length() {
          return SEQUENCE;
        }

        @Override
        public Filled fillTraining(long first, Tensor ids, Tensor targets) {
          for (long i = 0; i < ids.count(); i++) {
            long token = first + i / SEQUENCE + i % SEQUENCE;
            ids.setInt(i, (int) (token % 256));
            targets.setInt(i, (int) ((token + 1) % 256));
          }
          return Filled.whole(ids.count(), ids.count() / SEQUENCE, SEQUENCE);
        }

        @Override
        public Filled fillValidation(long first, Tensor ids, Tensor targets) {
          return fillTraining(first, ids, targets);
        }
      };

  @TempDir private static Path folder;

  /** Saves a teacher after one step. */
  @BeforeAll
  static void saveTeacher() {
    RunConfig run = new RunConfig(DEEP, TrainConfig.of(1, 4, SEQUENCE), 1);
    try (Backend backend = NativeBackend.open("cpu", 1);
        LanguageModel model = new LanguageModel(DEEP)) {
      model.materialize(backend, DType.FLOAT32, true, 1);
      Trainer trainer = new Trainer(backend, model, run, DATA);
      trainer.next();
      new RunCheckpoints(trainer, folder).save();
    }
  }

  private static RunConfig student(DType dtype) {
    ModelConfig shallow = KeptLayers.of(2, DEEP).config(DEEP);
    TrainConfig training = TrainConfig.of(4, 8, SEQUENCE).withDType(dtype);
    return new RunConfig(shallow, training, 2, DistillationConfig.staged(null));
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16"})
  void memoryIsWithinATenthOfTheForecast(DType dtype) {
    RunConfig run = student(dtype);
    ModelFolder teacher = ModelFolder.open(folder);
    double forecast =
        MemoryForecast.of(run.model(), run.training(), Topology.ONE)
            .with(teacher.config(), run.training(), Topology.ONE)
            .total();
    try (NativeBackend backend = NativeBackend.open("cpu", 1);
        LanguageModel model = new LanguageModel(run.model());
        Distillation objective = Distillation.from(run, teacher, backend)) {
      model.materialize(backend, dtype, true, 1);
      Trainer trainer = new Trainer(backend, model, run, DATA, objective);
      trainer.next();
      trainer.next();
      double peak = backend.memoryUsage().peak();
      assertEquals(1, peak / forecast, 0.1, peak + " bytes, forecast " + forecast);
    }
  }

  @Test
  void aStudentThatIsItsTeacherDoesNotDiverge() {
    RunConfig run =
        new RunConfig(
            DEEP,
            TrainConfig.of(4, 4, SEQUENCE),
            2,
            DistillationConfig.staged(List.of(0, 1, 2, 3)));
    ModelFolder teacher = ModelFolder.open(folder);
    try (Backend backend = NativeBackend.open("cpu", 1);
        LanguageModel model = new LanguageModel(DEEP);
        Distillation objective = Distillation.from(run, teacher, backend)) {
      model.materialize(backend, DType.FLOAT32, true, 99);
      Trainer trainer = new Trainer(backend, model, run, DATA, objective);
      KeptLayers all = new KeptLayers(run.distillation().layers());
      new RunCheckpoints(trainer, folder.resolve("student")).startFrom(teacher.checkpoint(), all);
      List<StepMetrics> steps = List.of(trainer.next(), trainer.next(), trainer.next());
      assertEquals(0, steps.getFirst().divergence().orElseThrow(), 1e-6);
      assertTrue(steps.get(1).divergence().orElseThrow() > 1e-6);
      assertTrue(steps.getLast().divergence().isPresent() && trainer.next().divergence().isEmpty());
    }
  }

  @Test
  void aTeacherWhoseLogitsAreNotFiniteStopsTheStudent() {
    RunConfig run = student(DType.FLOAT32);
    try (Backend backend = NativeBackend.open("cpu", 1);
        LanguageModel broken =
            ModelFolder.open(folder).load(backend, DType.FLOAT32, new ArrayList<>());
        LanguageModel model = new LanguageModel(run.model())) {
      broken.head().matrix().value().setFloat(7, Float.NaN);
      model.materialize(backend, DType.FLOAT32, true, 1);
      Trainer trainer = new Trainer(backend, model, run, DATA, Distillation.from(run, broken));
      TrainingFailure failure = assertThrows(TrainingFailure.class, trainer::next);
      String expected = "step 1: the teacher's logits are not finite numbers";
      assertTrue(failure.getMessage().startsWith(expected), failure.getMessage());
    }
  }

  /** Sampled, scored and trained on twice: from the first step, and from a checkpoint after two. */
  @Test
  void onPolicyAResumedStudentHasTheSameBits() {
    RunConfig run = onPolicy(0.25);
    ModelFolder teacher = ModelFolder.open(folder);
    try (Backend backend = NativeBackend.open("cpu", 1);
        LanguageModel model = new LanguageModel(run.model());
        LanguageModel later = new LanguageModel(run.model());
        Distillation objective = Distillation.from(run, teacher, backend);
        Distillation again = Distillation.from(run, teacher, backend)) {
      Trainer trainer = trainer(backend, model, run, objective);
      trainer.next();
      trainer.next();
      Path saved = folder.resolve("on-policy");
      new RunCheckpoints(trainer, saved).save();
      List<StepMetrics> whole = List.of(trainer.next(), trainer.next());
      Trainer resumed = trainer(backend, later, run, again);
      new RunCheckpoints(resumed, saved).restore(Checkpoint.open(saved));
      for (StepMetrics expected : whole) {
        StepMetrics step = resumed.next();
        assertEquals(expected.loss(), step.loss());
        assertEquals(expected.divergence(), step.divergence());
        assertEquals(expected.gradientNorm(), step.gradientNorm());
      }
      // alpha is 0 after 70 % of the four steps: the last one reads the text
      assertTrue(whole.getFirst().divergence().orElseThrow() > 0);
      assertTrue(whole.getLast().divergence().isEmpty());
    }
  }

  /** The first halves are the text's; the second ones are neither, nor those of other weights. */
  @Test
  void onPolicyTheStudentGoesOnWithTheText() {
    RunConfig run = onPolicy(0);
    try (Backend backend = NativeBackend.open("cpu", 1);
        LanguageModel model = new LanguageModel(run.model());
        LanguageModel other = new LanguageModel(run.model());
        TensorScope scope = TensorScope.confined(backend)) {
      model.materialize(backend, DType.FLOAT32, true, 1);
      TokenSequences data = Distillation.data(run, DATA, new ByteTokenizer(), backend, model);
      Tensor ids = scope.allocate(DType.INT32, 2 * SEQUENCE);
      Tensor targets = scope.allocate(DType.INT32, ids.shape());
      TokenSequences.Filled filled = data.fillTraining(3, ids, targets);
      int[] sampled = ids.toInts();
      int half = SEQUENCE / 2;
      assertEquals(2 * (half - 1), data.trainingLosses(0, 2));
      assertEquals(2 * (half - 1), filled.bytes());
      int differ = 0;
      for (int row = 0; row < sampled.length; row++) {
        int place = row % SEQUENCE;
        int text = (3 + row / SEQUENCE + place) % 256;
        assertEquals(place < half - 1 ? (text + 1) % 256 : -1, targets.toInts()[row]);
        assertTrue(place >= half || sampled[row] == text);
        differ += sampled[row] == text ? 0 : 1;
      }
      assertTrue(differ > half, differ + " sampled tokens are not the text's");
      data.fillTraining(3, ids, targets);
      assertArrayEquals(sampled, ids.toInts());
      data.fillTraining(24, ids, targets); // of the step without a teacher
      assertEquals(2L * SEQUENCE, data.trainingLosses(24, 2));
      assertEquals((24 + SEQUENCE) % 256, targets.toInts()[SEQUENCE - 1]);
      other.materialize(backend, DType.FLOAT32, true, 2);
      Distillation.data(run, DATA, new ByteTokenizer(), backend, other)
          .fillTraining(3, ids, targets);
      assertFalse(Arrays.equals(sampled, ids.toInts()));
    }
  }

  @Test
  void aStudentWhoseSamplesWouldDependOnOthersIsRefused() {
    ModelConfig drops =
        DEEP.withGates(gate -> gate.withCapacity(gate.capacity().by(DropPolicy.POSITION)));
    assertRefused("gates drop tokens", () -> onPolicy(drops, SEQUENCE));
    assertRefused("needs 4 or more", () -> onPolicy(DEEP, 3));
    assertRefused("trains on one rank, not on 2", () -> onPolicy(0).requireFits(Topology.of(2)));
    assertRefused("onPolicyMix is 1.5, expected 0", () -> onPolicy(1.5));
  }

  private static void assertRefused(String expected, Executable body) {
    String message = assertThrows(IllegalArgumentException.class, body).getMessage();
    assertTrue(message.contains(expected), message);
  }

  private static Trainer trainer(
      Backend backend, LanguageModel model, RunConfig run, Distillation objective) {
    model.materialize(backend, DType.FLOAT32, true, 1);
    TokenSequences data = Distillation.data(run, DATA, new ByteTokenizer(), backend, model);
    return new Trainer(backend, model, run, data, objective);
  }

  private static RunConfig onPolicy(double mix) {
    return new RunConfig(
        KeptLayers.of(2, DEEP).config(DEEP),
        TrainConfig.of(4, 8, SEQUENCE),
        2,
        new DistillationConfig(1, 1, new Stage(Fall.STOP, 0.7), null, mix));
  }

  private static RunConfig onPolicy(ModelConfig model, int length) {
    DistillationConfig sampled = new DistillationConfig(1, 1, new Stage(Fall.STOP, 1), null, 0.0);
    return new RunConfig(model, TrainConfig.of(4, 8, length), 2, sampled);
  }
}
