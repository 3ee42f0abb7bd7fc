package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import panamoe.checkpoint.Checkpoint;
import panamoe.config.ModelConfig;
import panamoe.io.Require;
import panamoe.model.KeptLayers;
import panamoe.open.ModelFolder;
import panamoe.train.DistillationConfig;
import panamoe.train.DistillationConfig.Fall;
import panamoe.train.DistillationConfig.Stage;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code panamoe distill}. */
@Command(
    name = "distill",
    customSynopsis = "panamoe distill [OPTIONS] --teacher=MODEL --out=DIR",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a shallower student from a trained teacher: Mixture-of-Students (DeepSpeed-MoE, section 4.2).",
      "A token's loss is its cross-entropy + alpha T^2 KL(teacher || student), the second part in a first stage only.",
      "The student has the teacher's first layer and its last N - 1: their shapes and, unless --from-scratch, their"
          + " weights. It trains with the teacher's settings and text, except for options."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe distill --teacher demo --out student          12.5 % fewer layers, by the paper's recipe",
      "  panamoe distill --teacher demo --layers 2 --steps 500 --out small",
      "  panamoe distill --teacher demo --keep 0,1,3 --out kept    these layers of the teacher, counted from 0",
      "  panamoe distill --teacher demo --fall cosine --until 1 --out smooth",
      "  panamoe distill --teacher demo --on-policy --out sampled   the teacher scores what the student writes",
      "  panamoe distill --teacher demo --ranks 4 --ep 2 --out student",
      "  panamoe distill --out student --resume    continues after the last checkpoint, in its stage",
      "",
      "DIR then holds the files of train, and teacher.json: the checkpoint that the student learns from."
    })
public final class DistillCommand extends RunCommand {
  private static final List<String> OF_A_STUDENT =
      List.of(
          "--layers",
          "--keep",
          "--from-scratch",
          "--alpha",
          "--temperature",
          "--until",
          "--fall",
          "--on-policy",
          "--on-policy-mix");

  @Option(
      names = "--teacher",
      paramLabel = "MODEL",
      description = {
        "A run's folder, or one of its checkpoints. Required; with --resume, the new path of a teacher that was"
            + " moved."
      })
  private Path teacher;

  @Option(
      names = "--layers",
      paramLabel = "N",
      description =
          "Layers of the student: the teacher's first and its last N - 1. Default: 12.5 %% fewer.")
  private Integer layers;

  @Option(
      names = "--keep",
      paramLabel = "LAYER",
      split = ",",
      description = "The teacher's layers to keep, counted from 0; replaces --layers.")
  private List<Integer> keep;

  @Option(
      names = "--from-scratch",
      description = "Start from random weights, not from the teacher's.")
  private boolean fromScratch;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = {
        "A config.json of the student: model, training and seed, and perhaps distillation. Any shape with the"
            + " teacher's vocabulary. Excludes all other settings."
      })
  private Path configFile;

  @Option(
      names = "--alpha",
      paramLabel = "A",
      description = "Weight of the KL term of the loss. Default: 1.")
  private Double alpha;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "Temperature of both softmaxes in the KL term. Default: 1.")
  private Double temperature;

  @Option(
      names = "--until",
      paramLabel = "F",
      description =
          "Fraction of the tokens after which the KL term is 0. Default: 0.7; 1: the whole run.")
  private Double until;

  @Option(
      names = "--fall",
      paramLabel = "WAY",
      description = "How alpha falls to 0: stop (a step; the default), linear or cosine.")
  private Fall fall;

  @Option(
      names = "--on-policy",
      description = {
        "In the first stage the student continues half of each sequence by sampling, and the KL term is of"
            + " KL(student || teacher) on what it writes; the other half has the cross-entropy. One rank."
      })
  private boolean onPolicy;

  @Option(
      names = "--on-policy-mix",
      paramLabel = "F",
      description =
          "With --on-policy: share of KL(teacher || student) in the KL term, 0 (the default) to 1.")
  private Double onPolicyMix;

  @Option(
      names = "--teacher-cache",
      paramLabel = "DIR",
      description = {
        "Cache the teacher's states in DIR, for all its students on one text."
            + " Changes no bit. Repeat it with --resume."
      })
  private Path teacherCache;

  @Override
  Path teacher() {
    return teacher;
  }

  @Override
  Path teacherCache() {
    return teacherCache;
  }

  @Override
  Start start() throws IOException {
    if (teacher == null) {
      throw shared.usage("Missing required option: '--teacher=MODEL'");
    }
    shared.require(onPolicy || onPolicyMix == null, "--on-policy-mix goes with --on-policy only");
    ModelFolder folder = ModelFolder.ofRun(teacher);
    RunConfig config = configFile == null ? config(folder) : config(configFile);
    if (config.distillation().onPolicyMix() != null) {
      shared.require(
          teacherCache == null,
          "--teacher-cache keeps states of the text, and --on-policy gives the teacher new texts in each step");
      shared.require(!texts.conversations(), "--on-policy continues a text, not conversations");
    }
    requireTeaches(folder.config(), config);
    return new Start(config, folder);
  }

  @Override
  RunTokenizer tokenizer(Start start, TrainingText read, PrintWriter err) throws IOException {
    return RunTokenizer.of(start.teacher());
  }

  private RunConfig config(ModelFolder folder) {
    Checkpoint checkpoint = folder.checkpoint();
    KeptLayers kept = shared.checked(() -> kept(folder.config()));
    TrainConfig training = training(checkpoint);
    return shared.checked(
        () ->
            new RunConfig(
                kept.config(folder.config()), training, shared.seed(), distillation(kept)));
  }

  /** The paper's settings, changed by the options. */
  private DistillationConfig distillation(KeptLayers kept) {
    DistillationConfig paper = DistillationConfig.staged(fromScratch ? null : kept.layers());
    return new DistillationConfig(
        alpha == null ? paper.alpha() : alpha,
        temperature == null ? paper.temperature() : temperature,
        new Stage(
            fall == null ? paper.stage().fall() : fall,
            until == null ? paper.stage().until() : until),
        paper.layers(),
        !onPolicy ? null : onPolicyMix == null ? Double.valueOf(0) : onPolicyMix);
  }

  /** The teacher's layers that the options select. */
  private KeptLayers kept(ModelConfig deep) {
    if (keep != null && layers != null) {
      throw shared.usage("--keep lists layers, --layers counts them: give one of the two");
    }
    if (keep != null) {
      return new KeptLayers(keep);
    }
    int most = Math.max(1, deep.layers() - 1);
    int wanted = layers != null ? layers : Math.clamp(Math.round(deep.layers() * 7 / 8f), 1, most);
    return KeptLayers.of(wanted, deep);
  }

  /** The teacher's training, changed by the options. */
  private TrainConfig training(Checkpoint checkpoint) {
    TrainConfig training = RunConfig.trainingOf(checkpoint);
    if (dtype() != null) {
      training = training.withDType(dtype());
    }
    if (recompute) {
      training = training.withRecompute(true);
    }
    TrainConfig chosen = training;
    return steps == null ? chosen : shared.checked(() -> chosen.withSteps(steps));
  }

  private RunConfig config(Path file) {
    requireNone(Stream.concat(OF_A_STUDENT.stream(), SETTINGS.stream()).toList(), CONFIG_HOLDS);
    RunConfig read = RunConfig.read(file);
    return read.distillation() != null
        ? read
        : new RunConfig(
            read.model(), read.training(), read.seed(), DistillationConfig.staged(null));
  }

  /** Checks that this teacher fits the student. */
  private static void requireTeaches(ModelConfig teacher, RunConfig student) {
    teacher.requireLoss();
    Require.that(
        teacher.hasExperts() || !student.model().hasExperts(),
        "the student has experts and its teacher is dense: it would be the larger of the two; panamoe edit --upcycle makes experts of the teacher's own weights, and train --resume trains them");
    Require.that(
        student.model().vocabulary() == teacher.vocabulary(),
        "the student has a vocabulary of %d, the teacher one of %d: they must be equal",
        student.model().vocabulary(),
        teacher.vocabulary());
    Require.that(
        student.training().batch().length() <= teacher.context(),
        "training.sequence is %d, but the teacher's context is %d",
        student.training().batch().length(),
        teacher.context());
    List<Integer> from = student.distillation().layers();
    if (from != null) {
      new KeptLayers(from).requireFits(student.model(), teacher);
    }
  }

  @Override
  TrainingText ownText(Start start) {
    return TrainingText.of(start.teacher(), shared);
  }

  @Override
  List<String> settings() {
    return Stream.concat(OF_A_STUDENT.stream(), Stream.of("--config")).toList();
  }
}
