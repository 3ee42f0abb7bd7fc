package panamoe.lab.bench;

import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.data.TokenSequences;
import panamoe.distill.Distillation;
import panamoe.harness.probe.RandomTokens;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.nn.Cost;
import panamoe.nn.Sequences;
import panamoe.nn.Work;
import panamoe.op.Pass;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.train.DistillationConfig;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;

/**
 * A distillation step: the student has the last layers of a model of {@link TrainStepBench}, all
 * but one, the teacher all. The baseline is a step of the student alone plus a forward of the
 * teacher.
 *
 * @param whole the teacher's
 */
record DistillStepBench(Backend backend, ModelConfig whole, DType dtype, long seed)
    implements Bench {
  @Override
  public Workload over(int tokens) {
    TrainStepBench.requireTokens(BenchKind.DISTILL_STEP, tokens);
    return new Step(tokens);
  }

  private final class Step implements Workload {
    private final TrainConfig training;
    private final ModelConfig part = KeptLayers.of(whole.layers() - 1, whole).config(whole);
    private final LanguageModel teacher = new LanguageModel(whole);
    private final LanguageModel student = new LanguageModel(part);
    private final Distillation distillation;
    private final Trainer taught;
    private final Trainer alone;
    private final TokenSequences data;

    Step(int tokens) {
      training = TrainStepBench.training(tokens, dtype);
      data = new RandomTokens(whole.vocabulary(), training.batch().length(), seed);
      teacher.materialize(backend, DType.FLOAT32, false, seed);
      teacher.pack(backend, dtype);
      student.materialize(backend, dtype, true, seed);
      RunConfig run = new RunConfig(part, training, seed, DistillationConfig.staged(null));
      distillation = Distillation.from(run, teacher);
      taught = new Trainer(backend, student, run, data, distillation);
      alone = new Trainer(backend, student, new RunConfig(part, training, seed), data);
    }

    @Override
    public void run(int call) {
      taught.next();
      backend.synchronize();
    }

    @Override
    public Beside beside() {
      return new Beside("step + forward", Contender.of(_ -> apart()));
    }

    /** Runs the student's step, then the teacher's forward. */
    private void apart() {
      alone.next();
      try (TensorScope scope = TensorScope.confined(backend)) {
        Pass pass = Pass.inference(backend, scope);
        long rows = training.batch().tokens();
        Tensor ids = scope.allocate(DType.INT32, rows);
        Tensor targets = scope.allocate(DType.INT32, rows);
        data.fillTraining(0, ids, targets);
        Sequences sequences = Sequences.Whole.of(scope, rows, training.batch().length());
        teacher.head().losses(pass, teacher.forward(pass, ids, sequences, null, false), targets, 0);
      }
      backend.synchronize();
    }

    /** The cost of the student's step and of the teacher's forward with all logits. */
    @Override
    public Cost cost() {
      Work forward =
          new Work(
              false,
              false,
              training.batch().sequences(),
              0,
              training.batch().length(),
              training.batch().tokens(),
              dtype,
              Topology.ONE);
      Cost step = TrainStepBench.stepCost(student, training);
      Cost asked = teacher.cost(forward);
      return new Cost(step.flops() + asked.flops(), step.bytesRead(), step.bytesWritten(), 0, 0);
    }

    @Override
    public void close() {
      distillation.close();
      student.close();
    }
  }
}
