package panamoe.harness.quantize;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import panamoe.backend.Backend;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.data.Tokens;
import panamoe.harness.ComputeType;
import panamoe.harness.HubModels;
import panamoe.harness.OutputPlace;
import panamoe.harness.PartBar;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.train.TrainingText;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.io.StrictJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.quantize.Calibration;
import panamoe.quantize.Divergence;
import panamoe.quantize.FormatChoice;
import panamoe.quantize.ImportanceFile;
import panamoe.quantize.QuantizationFormat;
import panamoe.quantize.QuantizationPlan;
import panamoe.quantize.QuantizedModel;
import panamoe.quantize.Sensitivity;
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
      "Rounds a model's matrices to fewer bits, and measures the loss of quality.",
      "It runs the model over a text to measure each matrix's inputs, and rounds so that the output error is small. "
          + "Experts that get no token of the text become int8. Norms, biases and routers stay unchanged.",
      "With --size or --loss it chooses a format for each matrix by how much its rounding costs."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe quantize novels --to int4 --out small     calibrated on its training text",
      "  panamoe quantize ~/Qwen3-30B-A3B --to q4_k --text eval.txt --out qwen-q4",
      "  panamoe quantize novels --to q4_k --plan plan.json --out mixed",
      "  panamoe quantize novels --size 4.5bpw --out chosen   formats are chosen for each matrix",
      "  panamoe quantize novels --loss 0.5% --out chosen   as small as this loss allows",
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
          "A run's folder, a checkpoint, or a released model: its folder, a .gguf file, or its name (hf:OWNER/REPO). Not one in blocks, except FP8.")
  private Path model;

  @Mixin private HubModels named;

  @Option(
      names = "--to",
      paramLabel = "FORMAT",
      completionCandidates = Formats.class,
      description =
          "Format of all matrices, with bits per element: ${COMPLETION-CANDIDATES}. Embedding and head get q6_k or more. Rows that do not divide into its blocks get smaller blocks with at least as many bits. Default: keep, with --plan.")
  private QuantizationFormat to;

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description = "Formats of some matrices, in JSON; see below.")
  private Path plan;

  @Mixin private ChoiceOptions choice;

  @Option(
      names = "--imatrix",
      paramLabel = "FILE",
      description =
          "An importance matrix of llama.cpp for this model, imatrix.gguf or the older .dat, instead of a calibration.")
  private Path imatrix;

  @Option(
      names = "--imatrix-out",
      paramLabel = "FILE",
      description = "A new .gguf file for the calibration, which llama.cpp reads too.")
  private Path imatrixOut;

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
  public Integer call() throws IOException {
    shared.require(
        to != null || plan != null || choice.given(), "give --to, --plan, --size or --loss");
    shared.require(
        !choice.both() && (to == null || !choice.given()), "give one of --to, --size and --loss");
    shared.require(measure >= 0, "--measure is %s, expected 0 or more", measure);
    shared.require(
        choice.loss() == null || measure > 0,
        "--loss is compared with a measurement: --measure must not be 0");
    shared.require(
        imatrix == null || imatrixOut == null, "--imatrix-out is for a calibration, not --imatrix");
    if (Files.exists(out, LinkOption.NOFOLLOW_LINKS)) {
      throw new IllegalArgumentException(out + " exists already; --out is a new folder");
    }
    OutputPlace.requireFolder(out, "--out");
    if (imatrixOut != null) {
      OutputPlace.requireNewFile(imatrixOut, "--imatrix-out");
      shared.require(ModelFolder.isGguf(imatrixOut), "--imatrix-out must end in .gguf");
    }
    ModelFolder folder = ModelFolder.open(named.local(model, shared.command()));
    folder.config().requireVocabulary();
    Map<QuantizedMatrix, QuantizationFormat> wanted =
        QuantizedModel.wanted(
            folder,
            plan == null ? QuantizationPlan.NONE : QuantizationPlan.read(plan),
            to == null && !choice.given() ? QuantizationFormat.KEEP : to);
    choice.requirePossible(folder, wanted, null);
    if (imatrixOut != null) {
      ImportanceFile.requireNames(folder);
    }
    Calibration read = imatrix == null ? null : ImportanceFile.read(imatrix, folder);
    QuantizationReport report = quantize(folder, wanted, read);
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

  private TokenWindows training(ModelFolder folder, TrainingText text) {
    TokenWindows training = windows(folder, text, Corpus.Part.TRAINING, calibrate);
    if (training.count() < 2) {
      throw Require.refusal(
          "%s is too short to calibrate on: expected at least %s tokens in its training part",
          text.source(), training.length() + 2);
    }
    if (calibrate < training.length()) {
      throw shared.usage(
          "--calibrate is %s, expected at least %s, a window of the text",
          calibrate, training.length());
    }
    return training;
  }

  /**
   * @param read importances from a file; null to measure them
   */
  private QuantizationReport quantize(
      ModelFolder folder, Map<QuantizedMatrix, QuantizationFormat> wanted, Calibration read)
      throws IOException {
    boolean runs = read == null || choice.given() || measure > 0;
    TrainingText text =
        !runs
            ? null
            : this.text == null ? TrainingText.of(folder, shared) : TrainingText.read(this.text);
    TokenWindows training = read == null || choice.given() ? training(folder, text) : null;
    TokenWindows held =
        measure == 0 ? null : windows(folder, text, Corpus.Part.VALIDATION, measure);
    try (Backend backend = shared.open()) {
      shared.require(backend.onHost(), "models are quantized on a CPU; add --device cpu");
      InferenceSettings whole = InferenceSettings.of(WeightTypes.of(dtype.dtype()));
      try (LanguageModel source =
          runs
              ? shown("loading", at -> folder.load(backend, whole, Ranks.alone(), null, at))
              : null) {
        String measured = held == null ? null : text.source();
        MeasuredFolder target =
            new MeasuredFolder(
                out, shared, backend, source, measured, held, measure, choice.loss());
        target.requireRoom(folder, wanted, choice.given());
        Calibration calibration =
            read != null
                ? read
                : shown(
                    "calibrating", at -> Calibration.of(backend, source, training, calibrate, at));
        String calibrated = imatrix == null ? text.source() : imatrix.toString();
        if (imatrixOut != null) {
          ImportanceFile.write(imatrixOut, folder, calibration, calibrated);
        }
        if (choice.given()) {
          choice.requirePossible(folder, wanted, calibration);
          Sensitivity sensitivity =
              shown(
                  "probing",
                  at ->
                      Sensitivity.of(
                          backend, folder, source, wanted, calibration, training, calibrate, at));
          FormatChoice first = choice.first(folder, sensitivity);
          return target.chosen(first, wanted, folder, calibration, calibrated, texts(folder));
        }
        QuantizedModel quantized = QuantizedModel.of(folder, wanted, calibration);
        Divergence divergence = target.written(quantized, texts(folder));
        return new QuantizationReport(
            quantized, calibrated, measured, divergence, null, List.of(), out);
      }
    }
  }

  /** A file that lets eval find the text of a run. */
  private static Map<String, byte[]> texts(ModelFolder folder) {
    Map<String, byte[]> files = new HashMap<>();
    TextRecord.of(folder).ifPresent(it -> files.put(RunFolder.TEXT, json(it)));
    return files;
  }

  static byte[] json(Record record) {
    return StrictJson.bytes(ConfigJson.tree(record));
  }

  static <T> T shown(String work, Function<DoubleConsumer, T> body) {
    try (PartBar bar = PartBar.onStandardError(work)) {
      return body.apply(bar);
    }
  }
}
