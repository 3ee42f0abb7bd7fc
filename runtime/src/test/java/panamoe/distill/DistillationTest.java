package panamoe.distill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.abi.NativeBackend;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.TokenSequences;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.train.DistillationConfig;
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
        public long fillTraining(long first, Tensor ids, Tensor targets) {
          for (long i = 0; i < ids.count(); i++) {
            long token = first + i / SEQUENCE + i % SEQUENCE;
            ids.setInt(i, (int) (token % 256));
            targets.setInt(i, (int) ((token + 1) % 256));
          }
          return ids.count();
        }

        @Override
        public long fillValidation(long first, Tensor ids, Tensor targets) {
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
}
