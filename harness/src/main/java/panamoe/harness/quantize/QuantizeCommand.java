package panamoe.harness.quantize;

import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.TensorFiles;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.data.Tokens;
import panamoe.harness.ComputeType;
import panamoe.harness.OutputPlace;
import panamoe.harness.PartBar;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.train.TrainingText;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.io.StrictJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.quantize.Calibration;
import panamoe.quantize.Divergence;
import panamoe.quantize.QuantizationFormat;
import panamoe.quantize.QuantizationPlan;
import panamoe.quantize.QuantizedModel;
import panamoe.tensor.DType;
import panamoe.train.RunFolder;
import panamoe.train.TextRecord;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code panamoe quantize}. */
@Command(
    name = "quantize",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Rounds a model's experts, or a dense model's layers, to 4 to 8 bits, and measures the loss of quality.",
      "It runs the model over a text to measure each matrix's inputs, and rounds so that the output error is small. "
          + "Experts that get no token of the text become int8. All other weights stay unchanged."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe quantize novels --to int4 --out small     calibrated on its training text",
      "  panamoe quantize ~/Qwen3-30B-A3B --to q4_k --text eval.txt --out qwen-q4",
      "  panamoe quantize novels --to q4_k --plan plan.json --out mixed",
      "  panamoe generate small -p \"The\"  also chat, serve, eval, inspect",
      "",
      "A plan sets other formats for some matrices, by name, layer or expert:",
      "  {\"rules\": [{\"names\": \"*.down.weight\", \"layers\": \"0-3,7\", \"to\": \"q6_k\"},",
      "             {\"experts\": \"0-15\", \"layers\": \"9\", \"to\": \"int8\"}]}",
      "",
      "One of 50 passages of the text is held out for measuring.",
      "docs/quantization.md has more. --seed has no effect."
    })
public final class QuantizeCommand implements Subcommand {
  /** Tokens per window, if the context is not shorter. */
  private static final int WINDOW = 512;

  /** The values of {@code --to} in its help. */
  static final class Formats extends ArrayList<String> {
    Formats() {
      super(QuantizationFormat.all().stream().map(QuantizationFormat::described).toList());
    }
  }

  @Mixin private SharedOptions shared;

  @Parameters(
      paramLabel = "MODEL",
      description =
          "A run's folder, a checkpoint, or a released model: its folder, or a .gguf file. Not one in blocks.")
  private Path model;

  @Option(
      names = "--to",
      paramLabel = "FORMAT",
      completionCandidates = Formats.class,
      description =
          "Format of these matrices, with bits per element: ${COMPLETION-CANDIDATES}. Rows that do not divide into its blocks get smaller blocks with at least as many bits. Default: keep, with --plan.")
  private QuantizationFormat to;

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description = "Formats of some matrices, in JSON; see below.")
  private Path plan;

  @Option(
      names = "--text",
      paramLabel = "PATH",
      description =
          "A UTF-8 file, or a folder of them, similar to the model's later inputs. Default: the model's training text.")
  private Path text;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      required = true,
      description = "A new folder for the quantized model.")
  private Path out;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "f32",
      description =
          "f32 or bf16: compute dtype while calibrating and measuring. Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Option(
      names = "--calibrate",
      paramLabel = "N",
      defaultValue = "131072",
      description =
          "Most tokens to calibrate on, in windows of 512 or the context. Default: ${DEFAULT-VALUE}.")
  private long calibrate;

  @Option(
      names = "--measure",
      paramLabel = "N",
      defaultValue = "200000",
      description =
          "Held-out tokens to measure on, rounded up to windows of 512 or the context; needs both models in memory. 0: none. Default: ${DEFAULT-VALUE}.")
  private long measure;

  @Override
  public Integer call() {
    shared.require(to != null || plan != null, "give --to, --plan, or both");
    shared.require(measure >= 0, "--measure is %s, expected 0 or more", measure);
    if (Files.exists(out, LinkOption.NOFOLLOW_LINKS)) {
      throw new IllegalArgumentException(out + " exists already; --out is a new folder");
    }
    OutputPlace.requireFolder(out, "--out");
    ModelFolder folder = ModelFolder.open(model);
    Map<QuantizedMatrix, QuantizationFormat> wanted =
        QuantizedModel.wanted(
            folder,
            plan == null ? QuantizationPlan.NONE : QuantizationPlan.read(plan),
            to == null ? QuantizationFormat.KEEP : to);
    TrainingText read = text == null ? TrainingText.of(folder, shared) : TrainingText.read(text);
    TokenWindows training = windows(folder, read, Corpus.Part.TRAINING, calibrate);
    if (training.count() < 2) {
      throw Require.refusal(
          "%s is too short to calibrate on: expected at least %s tokens in its training part",
          read.source(), training.length() + 2);
    }
    if (calibrate < training.length()) {
      throw shared.usage(
          "--calibrate is %s, expected at least %s, a window of the text",
          calibrate, training.length());
    }
    TokenWindows held =
        measure == 0 ? null : windows(folder, read, Corpus.Part.VALIDATION, measure);
    QuantizationReport report = quantize(folder, wanted, read, training, held);
    shared.out().println(shared.json() ? report.toJson().toString() : report.toText());
    return 0;
  }

  /** Windows of at least {@code most} tokens, if the text has them, and one more. */
  private static TokenWindows windows(
      ModelFolder folder, TrainingText text, Corpus.Part part, long most) {
    int length = Math.min(WINDOW, folder.config().context());
    long wanted = Math.clamp(most, 0, Long.MAX_VALUE - 2 * length) + 2 * length;
    Tokens tokens =
        shown("encoding", at -> text.tokens().tokens(part, folder.tokenizer(), wanted, at));
    return new TokenWindows(tokens, folder.tokenizer(), length);
  }

  private QuantizationReport quantize(
      ModelFolder folder,
      Map<QuantizedMatrix, QuantizationFormat> wanted,
      TrainingText read,
      TokenWindows training,
      TokenWindows held) {
    try (Backend backend = shared.open()) {
      shared.require(backend.onHost(), "models are quantized on a CPU; add --device cpu");
      InferenceSettings whole = InferenceSettings.of(WeightTypes.of(dtype.dtype()));
      try (LanguageModel source =
          shown("loading", at -> folder.load(backend, whole, Ranks.alone(), null, at))) {
        Calibration calibration =
            shown("calibrating", at -> Calibration.of(backend, source, training, calibrate, at));
        QuantizedModel quantized = QuantizedModel.of(folder, wanted, calibration);
        if (held != null) {
          requireRoom(folder, quantized, backend);
        }
        Divergence[] divergence = new Divergence[1];
        shown(
            "rounding",
            at -> {
              quantized.write(
                  out,
                  otherFiles(folder),
                  shared.threadCount(),
                  at,
                  written ->
                      divergence[0] =
                          held == null ? null : measured(backend, source, written, held));
              return null;
            });
        return new QuantizationReport(
            quantized,
            read.source(),
            bytes(folder),
            bytes(ModelFolder.open(out)),
            divergence[0],
            out);
      }
    }
  }

  private Divergence measured(
      Backend backend, LanguageModel source, Path written, TokenWindows held) {
    ModelFolder opened = ModelFolder.open(written);
    InferenceSettings types = InferenceSettings.of(opened.typesAsStored(dtype.dtype()));
    try (LanguageModel rounded = opened.load(backend, types, null)) {
      return shown("measuring", at -> Divergence.of(backend, source, rounded, held, measure, at));
    }
  }

  /** Checked before hours of work. */
  private void requireRoom(ModelFolder folder, QuantizedModel quantized, Backend backend) {
    Map<String, DType> blocks = new HashMap<>();
    quantized.blocks().forEach((matrix, type) -> blocks.put(matrix.name(), type));
    WeightTypes types = ModelTensors.asStored(folder.config(), dtype.dtype(), blocks);
    try {
      InferenceMemory.of(folder.config(), types, dtype.dtype(), 0, true)
          .requireFits(out, backend.memoryAvailable());
    } catch (CheckpointException e) {
      throw new IllegalArgumentException(
          "the quantized model does not fit into memory with its source; --measure 0 writes it without measuring it",
          e);
    }
  }

  /** Lets eval find the text of a run. */
  private static Map<String, byte[]> otherFiles(ModelFolder folder) {
    return TextRecord.of(folder)
        .map(record -> Map.of(RunFolder.TEXT, StrictJson.bytes(ConfigJson.tree(record))))
        .orElse(Map.of());
  }

  private static long bytes(ModelFolder folder) {
    try (TensorFiles files = folder.weights().open()) {
      return files.tensors().values().stream().mapToLong(StoredTensor::bytes).sum();
    }
  }

  private static <T> T shown(String work, Function<DoubleConsumer, T> body) {
    try (PartBar bar = PartBar.onStandardError(work)) {
      return body.apply(bar);
    }
  }
}
