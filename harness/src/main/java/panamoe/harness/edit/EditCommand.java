package panamoe.harness.edit;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.DeepSpeedFolder;
import panamoe.checkpoint.Shards;
import panamoe.config.ModelConfig;
import panamoe.data.TokenWindows;
import panamoe.edit.DroppedLayers;
import panamoe.edit.Edit;
import panamoe.edit.EditedModel;
import panamoe.edit.ExpertGrowth;
import panamoe.edit.ExpertReduction;
import panamoe.edit.Noise;
import panamoe.edit.Upcycling;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.train.RunPath;
import panamoe.harness.train.RunTokenizer;
import panamoe.harness.train.TrainingInputs;
import panamoe.harness.train.TrainingText;
import panamoe.op.RouteObserver;
import panamoe.open.ModelFolder;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.Validation;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe edit}. */
@Command(
    name = "edit",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Changes a trained model: drops layers, or adds, grows, merges or prunes experts. One operation per call.",
      "Prints validation bits per byte and sizes before and after.",
      "--reshape instead writes its weights into other files, also from a checkpoint of DeepSpeed-MoE;",
      "--merge-lora writes a Hugging Face folder of its weights with an adapter added."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe edit novels --drop-layers 1,3 --out shallow     layers count from 0",
      "  panamoe edit dense --upcycle 8 --out moe                experts in every second layer",
      "  panamoe edit moe --pyramid 8,16 --out pyramid           experts of the MoE layers, first to last",
      "  panamoe edit moe --merge-experts 4 --out merged",
      "  panamoe edit moe --prune-experts 2 --out pruned         without the 2 least used of each layer",
      "  panamoe edit moe --prune-experts 25% --by reap --out pruned   a quarter, by router-weighted activation",
      "  panamoe edit moe --reshape --files 4 --out parts        the same weights in 4 files",
      "  panamoe edit megatron --reshape --tokenizer gpt2.json --out moe   a checkpoint of Megatron-DeepSpeed",
      "  panamoe train --out moe --resume                        trains the edited model",
      "  panamoe edit ~/Qwen3-30B-A3B --merge-lora adapter --out merged",
      "",
      "DIR is then a run at step 0 that generate, inspect, train --resume and distill --teacher read, and holds",
      "edit.json, the report; --merge-lora's is one of a released model. docs/surgery.md describes what each",
      "operation keeps."
    })
public final class EditCommand implements Subcommand {
  private static final double USUAL_NOISE = 0.01;

  @Mixin private SharedOptions shared;

  @Parameters(
      paramLabel = "MODEL",
      description =
          "A run's folder, or a checkpoint; with --reshape also a folder of Megatron-DeepSpeed's files, with --merge-lora a released model.")
  private Path model;

  @Option(
      names = "--drop-layers",
      paramLabel = "LAYER",
      split = ",",
      description = "Leave these layers out, counted from 0.")
  private List<Integer> dropLayers;

  @Option(
      names = "--upcycle",
      paramLabel = "E",
      description =
          "Give a dense model experts: E in every second layer, each a copy of the MLP plus its own noise.")
  private Integer upcycle;

  @Option(
      names = "--pyramid",
      paramLabel = "E",
      split = ",",
      description =
          "Grow the MoE layers, first to last, to these numbers of experts, by copies plus noise.")
  private List<Integer> pyramid;

  @Option(
      names = "--merge-experts",
      paramLabel = "N",
      description =
          "Merge each MoE layer down to N experts: load-weighted means of similar experts.")
  private Integer mergeExperts;

  @Mixin private PruneOptions pruning;

  @Option(
      names = "--reshape",
      description = "Write the weights unchanged into other files, without measuring the model.")
  private boolean reshape;

  @Option(
      names = "--merge-lora",
      paramLabel = "ADAPTER",
      description =
          "Add a low-rank adapter (PEFT's folder, a GGUF file, or a run of train --lora) to the weights, in their dtype; blocks are decoded.")
  private Path mergeLora;

  @Option(
      names = "--files",
      paramLabel = "N",
      description = "With --reshape: number of files for the weights. Default: 1.")
  private Integer files;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description =
          "With --reshape of Megatron-DeepSpeed's files: the model's tokenizer.json. Default: bytes.")
  private Path tokenizer;

  @Option(
      names = "--moe-layers",
      paramLabel = "LAYER",
      split = ",",
      description = "With --upcycle: the layers that get experts, instead of every second one.")
  private List<Integer> moeLayers;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "With --upcycle: experts per token. Default: 2.")
  private Integer topK;

  @Option(
      names = "--noise",
      paramLabel = "F",
      description =
          "With --upcycle and --pyramid: deviation of a copy's noise, relative to that of its weights. Default: 0.01.")
  private Double noise;

  @Option(
      names = "--text",
      paramLabel = "PATH",
      description =
          "A UTF-8 file, or a folder of them, to measure on, and for the run in DIR. Default: the model's own.")
  private Path text;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      required = true,
      description = "Folder of the edited model.")
  private Path out;

  @Override
  public Integer call() throws IOException {
    requireOneOperation();
    if (reshape) {
      Reshaping.Report report = reshaped();
      print(report.toJson(), report.toText(out));
      return 0;
    }
    if (mergeLora != null) {
      Merging.Report report = new Merging(out, shared).merge(model, mergeLora);
      print(report.toJson(), report.toText(out));
      return 0;
    }
    ModelFolder folder = ModelFolder.ofRun(model);
    Checkpoint checkpoint = folder.checkpoint();
    ModelConfig config = shared.checked(() -> editedConfig(folder.config()));
    RunPath.requireFree(out);
    TrainingText measured =
        text == null ? TrainingText.of(folder, shared) : TrainingText.read(text);
    TrainConfig training = RunConfig.trainingOf(checkpoint);
    long seed = checkpoint.config("seed", Long.class);
    RunConfig run = new RunConfig(config, training, seed);
    TrainingInputs material = TrainingInputs.of(measured, folder.tokenizer(), run, null);
    TokenWindows calibration = pruning.calibration(folder, training.batch().length());
    EditReport report;
    try (Backend backend = shared.open()) {
      PruneOptions.Scoring scoring = pruning.new Scoring(backend, calibration);
      Quality before;
      Edit none = DroppedLayers.none(folder.config());
      try (EditedModel same = EditedModel.of(none, folder.config(), checkpoint, backend)) {
        before =
            Quality.of(same.model(), backend, training, material.data(), scoring.ofMeasurement());
        scoring.calibrate(same);
      }
      Edit edit = edit(folder, scoring, backend);
      try (EditedModel edited = EditedModel.of(edit, folder.config(), checkpoint, backend)) {
        Quality after =
            Quality.of(edited.model(), backend, training, material.data(), RouteObserver.NONE);
        report =
            new EditReport(
                checkpoint.directory(),
                operation(),
                measured.attribution(),
                Validation.losses(training, material.data()),
                before,
                after);
        new EditedRun(out, run, RunTokenizer.of(folder), measured.record(), shared.err())
            .write(edited::save, report.toJson());
      }
    }
    print(report.toJson(), report.toText(out));
    return 0;
  }

  private void print(ObjectNode json, String words) {
    shared.out().println(shared.json() ? json.toString() : words);
  }

  private Reshaping.Report reshaped() throws IOException {
    Reshaping reshaping = new Reshaping(out, files == null ? 1 : files, shared);
    Optional<Path> megatron = DeepSpeedFolder.of(model);
    if (megatron.isPresent()) {
      return reshaping.megatron(megatron.get(), tokenizer);
    }
    shared.require(
        tokenizer == null,
        "--tokenizer goes with Megatron-DeepSpeed's files only, a run has its own");
    return reshaping.own(model);
  }

  private void requireOneOperation() {
    long operations =
        Stream.of(
                dropLayers,
                upcycle,
                pyramid,
                mergeExperts,
                pruning.experts(),
                mergeLora,
                reshape ? true : null)
            .filter(Objects::nonNull)
            .count();
    shared.require(
        operations == 1,
        "give one of --drop-layers, --upcycle, --pyramid, --merge-experts, --prune-experts, --merge-lora and --reshape");
    pruning.requireNoneWithoutPruning(shared);
    if (upcycle == null && (moeLayers != null || topK != null)) {
      throw shared.usage("--moe-layers and --top-k go with --upcycle only");
    }
    if (!reshape && (files != null || tokenizer != null)) {
      throw shared.usage("--files and --tokenizer go with --reshape only");
    }
    if (text != null && (reshape || mergeLora != null)) {
      String operation = reshape ? "--reshape" : "--merge-lora";
      throw shared.usage("%s measures nothing and takes no --text", operation);
    }
    if (upcycle == null && pyramid == null && noise != null) {
      throw shared.usage("--noise goes with --upcycle and --pyramid only");
    }
  }

  /** The edited model's config, before anything is measured. */
  private ModelConfig editedConfig(ModelConfig before) {
    if (mergeExperts != null) {
      return ExpertReduction.merged(before, mergeExperts);
    }
    return pruning.experts() != null ? pruning.config(before) : withoutLoads(before).config();
  }

  private Edit edit(ModelFolder folder, PruneOptions.Scoring scoring, Backend backend) {
    ModelConfig before = folder.config();
    if (mergeExperts != null) {
      try (Shards shards = folder.checkpoint().model()) {
        Edit.Source source = EditedModel.source(shards, before, backend);
        return ExpertReduction.merge(before, mergeExperts, scoring.loads(), source);
      }
    }
    return pruning.experts() != null ? scoring.prune(before) : withoutLoads(before);
  }

  private Edit withoutLoads(ModelConfig before) {
    if (dropLayers != null) {
      return DroppedLayers.of(before, dropLayers);
    }
    Noise added = new Noise(noise == null ? USUAL_NOISE : noise, shared.seed());
    if (pyramid != null) {
      return ExpertGrowth.of(before, pyramid, added);
    }
    List<Integer> layers = moeLayers == null ? Upcycling.everySecondLayer(before) : moeLayers;
    return Upcycling.of(before, layers, upcycle, topK == null ? 2 : topK, added);
  }

  /** The operation, as options. */
  private String operation() {
    Map<String, Object> options = new TreeMap<>();
    shared.command().commandLine().getParseResult().matchedOptions().stream()
        .filter(option -> !List.of("--out", "--json", "--text").contains(option.longestName()))
        .forEach(option -> options.put(option.longestName(), option.getValue()));
    StringBuilder words = new StringBuilder();
    options.forEach((name, value) -> words.append(' ').append(name).append(' ').append(value));
    return words.toString().strip().replaceAll("[\\[\\]]|(?<=,) ", "");
  }
}
