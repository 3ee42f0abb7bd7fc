package panamoe.lab.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.harness.ComputeType;
import panamoe.harness.OutputPlace;
import panamoe.harness.RuntimeKernelsOption;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.probe.Ceilings;
import panamoe.harness.probe.Roofline;
import panamoe.io.FileErrors;
import panamoe.io.Words;
import panamoe.lab.load.LatencyCommand;
import panamoe.lab.load.ServeBenchCommand;
import panamoe.lab.peer.PeerProcess;
import panamoe.open.ModelFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/** {@code panamoe bench}. */
@Command(
    name = "bench",
    customSynopsis = "panamoe bench [OPTIONS] KIND | COMMAND",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    subcommands = {ServeBenchCommand.class, LatencyCommand.class, AcceptedCommand.class},
    description = {
      "Measures one part of the work against the machine's limits and other libraries.",
      "",
      "KIND is one of",
      "  gate, dispatch, combine         what a layer does around its experts",
      "  balance                         the sums of a load-balancing loss, and its gradient",
      "  grouped-gemm                    the experts' first matrix; also grouped-gemm-dgrad, grouped-gemm-wgrad",
      "  moe-layer                       a whole layer, forward, with packed weights",
      "  moe-layer-training              a whole layer, forward and backward",
      "  adapter-training                the same of a layer in 4 bits, whose experts' adapters of rank 16 are trained",
      "  attention                       causal attention over one sequence of T tokens, heads of 128, forward",
      "  train-step                      an optimizer step: 6 layers of width 256, 16 experts on every other one",
      "  distill-step                    a distillation step: all of these layers but one, taught by all",
      "  prefill, decode                 a prompt, or one more token, through a small model",
      "  decode-batch                    one more token of T sequences together, each of 64 tokens so far",
      "  load                            opening a model for inference, against a plain read of its files",
      "  latency                         a token of each sequence over ranks, see panamoe bench latency --help",
      "  serve                           a server under load, see panamoe bench serve --help",
      "  accepted                        results against what is expected of a GPU, see panamoe bench accepted --help",
      "",
      "It measures ceilings (multiply-adds and memory reads) first and around each burst of calls, because memory of a shared machine changes its speed. The limit column is the time that the ceilings allow, the roofline column its share of the measured time. After them, train-step, distill-step, prefill, decode and decode-batch show tokens a"
          + " second."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe bench moe-layer --shape s1,s2 --dtype bf16,f32 --peer torch",
      "  panamoe bench grouped-gemm --shape 512x2048x16x2 --tokens 64,512",
      "  panamoe bench decode --dtype bf16 --json",
      "  panamoe bench decode --model synthetic-64 --quantize bf16,int8 --batch 1,16 --peer llama",
      "",
      "docs/benchmarks.md explains the columns."
    })
public final class BenchCommand implements Subcommand {
  private static final int MAX_TOKENS = 1 << 16;

  @Mixin private SharedOptions shared;

  @Parameters(
      arity = "0..1",
      paramLabel = "KIND",
      hideParamSyntax = true,
      description = "What to measure.")
  private BenchKind kind;

  @Option(
      names = "--shape",
      split = ",",
      paramLabel = "SHAPE",
      description =
          "s1, s2, s3, demo or MxFxExK[-swiglu]: hidden, expert hidden, experts, choices. Default: s1; attention:"
              + " 2048x2048x8x1, of which hidden counts; adapter-training: 1024x512x64x1-swiglu; prefill, decode and decode-batch: 1024x4096x16x1, with -swiglu for qwen3; load: 512x2048x16x1;"
              + " train-step and distill-step: 256x1024x16x1, or demo for the demo's teacher.")
  private List<String> shapeNames;

  @Mixin private BenchModelOptions modelOptions;
  @Mixin private RuntimeKernelsOption runtimeKernels;

  @Option(
      names = "--tokens",
      split = ",",
      paramLabel = "T",
      description =
          "Tokens per call; for decode, tokens in the cache. Default: a range that suits KIND.")
  private List<Integer> tokens;

  @Option(
      names = "--dtype",
      split = ",",
      paramLabel = "TYPE",
      description = "f32, bf16 or both. Default: f32.")
  private List<ComputeType> dtypes;

  @Option(
      names = "--peer",
      paramLabel = "PEER",
      description =
          "Also runs the work in another library, alternating: torch (loop over experts) or torch-einsum (DeepSpeed's masks), for"
              + " moe-layer, moe-layer-training and train-step, torch also for gate, adapter-training and attention, torch-einsum for gate, dispatch and combine; on a GPU torch-grouped (its grouped GEMM) for moe-layer and grouped-gemm, triton for moe-layer, cublaslt (a"
              + " dense product) for grouped-gemm, flash-attn for attention; djl (its libtorch) or onnxruntime (its"
              + " MoE operator) for moe-layer in f32 on the CPU; llama (llama.cpp's libllama) for prefill, decode and"
              + " decode-batch with gated experts on the CPU."
              + " ci/setup --tests installs PyTorch, ci/fetch/peers libllama; panamoe build builds djl and onnxruntime.")
  private Peer peer;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "2",
      description = "Seconds of work per cell and contender. Default: ${DEFAULT-VALUE}.")
  private double seconds;

  @Option(
      names = "--real-time",
      description =
          "Time short bursts at real-time priority with rests between, for a machine with other load. Needs root.")
  private boolean realTime;

  @Option(
      names = "--profile",
      description =
          "Then time each kernel of a call against its own limit. For train-step, distill-step,"
              + " moe-layer-training, adapter-training and prefill: the others replay captured kernels.")
  private boolean profiled;

  @Option(
      names = "--append",
      paramLabel = "FILE",
      description = "Also append the results to this file as JSON lines.")
  private Path appended;

  @Override
  public Integer call() throws IOException {
    shared.require(kind != null, "Missing required parameter: 'KIND'");
    List<Integer> counts = tokens == null ? kind.defaultTokens() : tokens;
    for (int count : tokens == null ? List.<Integer>of() : counts) {
      shared.require(
          count >= 1 && count <= MAX_TOKENS,
          "--tokens is " + count + ", expected 1 to " + MAX_TOKENS);
      if (!modelOptions.ofFiles() || !kind.generates()) { // files have a context of their own
        shared.checked(() -> kind.requireTokens(count));
      }
    }
    shared.require(
        seconds > 0 && seconds <= 3600,
        "--seconds is " + seconds + ", expected more than 0 and at most 3600");
    List<Integer> texts = modelOptions.texts(kind, shared);
    shared.require(
        !profiled || kind.eager(),
        "--profile: " + kind + " does not launch its kernels one by one");
    shared.require(
        !runtimeKernels.wanted() || kind.generates(),
        "--runtime-kernels is for prefill, decode and decode-batch, not " + kind);
    if (appended != null) {
      OutputPlace.requireFile(appended, "--append");
      Files.createDirectories(OutputPlace.folderOf(appended));
    }
    List<Weights> all = modelOptions.ofFiles() ? ofFiles() : drawn();
    try (Backend backend = shared.open();
        PeerProcess process = startPeer(all, backend.name());
        Roofline yardstick = new Roofline(backend.name(), shared.threadCount(), realTime)) {
      printCeilings(backend, yardstick);
      if (!shared.json()) {
        shared.out().println(Measurement.HEADER);
      }
      BenchRunner bench =
          new BenchRunner(backend, yardstick, peer, process, seconds, realTime, shared.err());
      KernelProfile profile = new KernelProfile(backend);
      for (Weights weights : all) {
        Timing.stopIfInterrupted();
        Backend used = profiled ? profile.timed() : backend;
        if (runtimeKernels.wanted()) {
          runtimeKernels.install(shared, backend, weights.config(), weights.dtype.dtype());
        }
        try (Bench subject = weights.open(used, kind, shared.seed())) {
          for (int count : counts) {
            for (int text : texts) {
              print(bench.measure(subject, weights.cell(kind, count, text, shared.threadCount())));
              if (profiled) {
                printKernels(bench.profile(subject, profile, count, text));
              }
            }
          }
        }
      }
    }
    return 0;
  }

  private void printCeilings(Backend backend, Roofline yardstick) {
    Ceilings ceilings = yardstick.highest();
    if (ceilings == null && Roofline.known(backend.name())) {
      shared
          .err()
          .println(
              "no roofline column: the program that measures ceilings is missing (panamoe build)");
    } else if (ceilings != null && !shared.json()) {
      shared
          .out()
          .println(
              Words.of(
                  "ceilings of %d threads: %.1f GFLOP/s in f32, %.1f in bf16, %s%.1f GB/s",
                  ceilings.threads(),
                  ceilings.fmaF32Gflops(),
                  ceilings.dotBf16Gflops(),
                  ceilings.dotInt8Gops() == null
                      ? ""
                      : Words.of("%.1f in int8, ", ceilings.dotInt8Gops()),
                  ceilings.readGbytesPerS()));
      if (ceilings.copyGbytesPerS() != null) {
        shared
            .out()
            .println(Words.of("copies: %.1f GB/s read and written", ceilings.copyGbytesPerS()));
      }
    }
  }

  private void print(Measurement measurement) throws IOException {
    String json = JsonMapper.shared().writeValueAsString(measurement);
    shared.out().println(shared.json() ? json : measurement.toRow());
    shared.out().flush();
    append(json + "\n");
  }

  private void printKernels(List<KernelProfile.Row> rows) throws IOException {
    if (!shared.json()) {
      shared.out().println(KernelProfile.HEADER);
    }
    for (KernelProfile.Row row : rows) {
      shared.out().println(shared.json() ? new JsonMapper().writeValueAsString(row) : row);
    }
    shared.out().flush();
  }

  private void append(String text) throws IOException {
    if (appended == null) {
      return;
    }
    try {
      Files.writeString(appended, text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw FileErrors.naming(appended, e);
    }
  }

  /**
   * The weights that cells of several sizes share.
   *
   * @param model with random weights, if {@code file} is null
   */
  private record Weights(
      GenerationModel model, ModelFile file, LayerShape shape, ComputeType dtype) {
    Bench open(Backend backend, BenchKind kind, long seed) {
      return file == null
          ? kind.open(backend, model, shape, dtype.dtype(), seed)
          : kind.open(backend, file, dtype.dtype(), seed);
    }

    /** The model's, if the kind generates. */
    ModelConfig config() {
      return file == null ? model.config(shape) : file.folder().config();
    }

    Cell cell(BenchKind kind, int tokens, int texts, int threads) {
      return new Cell(kind, model, file, shape, tokens, texts, dtype, threads);
    }
  }

  private List<Weights> drawn() {
    GenerationModel model = modelOptions.drawn(kind, peer, shared);
    List<Weights> drawn = new ArrayList<>();
    for (LayerShape shape : shapes(model)) {
      for (ComputeType dtype : dtypes == null ? List.of(ComputeType.F32) : dtypes) {
        requireFits(shape, dtype);
        drawn.add(new Weights(model, null, shape, dtype));
      }
    }
    return drawn;
  }

  private List<Weights> ofFiles() throws IOException {
    shared.require(shapeNames == null, "--shape: a --model with files has a shape of its own");
    shared.require(
        dtypes == null, "--dtype: a --model with files is measured in bf16, see --quantize");
    List<Weights> files = new ArrayList<>();
    for (ModelFile file : modelOptions.files(kind, shared)) {
      shared.require(
          peer == null || ModelFolder.isGguf(file.path()),
          "--peer " + peer + " reads GGUF alone, and " + file.path() + " is no .gguf file");
      files.add(new Weights(null, file, file.shape(), ComputeType.BF16));
    }
    return files;
  }

  private List<LayerShape> shapes(GenerationModel model) {
    if (kind.trainsModel() && shapeNames != null) {
      List<String> models = List.of(kind.defaultShape(), "demo");
      shared.require(
          models.containsAll(shapeNames),
          "--shape: a " + kind + " has " + String.join(" or ", models));
      shared.require(
          peer == null || !shapeNames.contains("demo"),
          "--peer " + peer + " runs no step of --shape demo");
    }
    String usual = kind.defaultShape() + (model == GenerationModel.QWEN3 ? "-swiglu" : "");
    List<String> names = shapeNames == null ? List.of(usual) : shapeNames;
    return names.stream().map(name -> shared.checked(() -> LayerShape.parse(name))).toList();
  }

  private void requireFits(LayerShape shape, ComputeType dtype) {
    double bytes = kind.expertBytes(shape, dtype.dtype());
    long available = shared.memoryAvailable();
    shared.require(
        bytes <= available,
        Words.of(
            "the experts of %s take %.1f GiB in %s, but only %.1f GiB are free",
            shape.name(), bytes / (1 << 30), kind, available / (double) (1 << 30)));
  }

  private PeerProcess startPeer(List<Weights> all, String device) throws IOException {
    if (peer == null) {
      return null;
    }
    shared.checked(() -> peer.check(kind, device));
    for (Weights each : all) {
      if (each.file == null) {
        shared.checked(() -> peer.check(each.model, each.shape, each.dtype));
      }
    }
    return peer.start(device, shared.seed());
  }
}
