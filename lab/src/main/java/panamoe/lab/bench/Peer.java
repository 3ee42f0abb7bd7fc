package panamoe.lab.bench;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import panamoe.backend.Activation;
import panamoe.harness.ComputeType;
import panamoe.harness.probe.NativeBuild;
import panamoe.io.Require;
import panamoe.lab.peer.PeerProcess;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Another library that runs the same work in a separate process. */
public enum Peer {
  /**
   * PyTorch: a loop over the experts with tokens, like in Hugging Face models; eager router and
   * gate; PyTorch's own FlashAttention.
   */
  TORCH(
      "loop",
      Set.of(
          BenchKind.GATE,
          BenchKind.ATTENTION,
          BenchKind.MOE_LAYER,
          BenchKind.MOE_LAYER_TRAINING,
          BenchKind.ADAPTER_TRAINING,
          BenchKind.TRAIN_STEP),
      true),
  /** PyTorch, einsum over one-hot masks with capacity factor 1.25, like DeepSpeed. */
  TORCH_EINSUM(
      "einsum",
      Set.of(
          BenchKind.GATE,
          BenchKind.DISPATCH,
          BenchKind.COMBINE,
          BenchKind.MOE_LAYER,
          BenchKind.MOE_LAYER_TRAINING,
          BenchKind.TRAIN_STEP),
      true),
  /** PyTorch's grouped GEMM over rows sorted by expert, on a GPU. */
  TORCH_GROUPED("grouped", Set.of(BenchKind.MOE_LAYER, BenchKind.GROUPED_GEMM), true),
  /** A dense product with equally many rows by cuBLASLt, called from PyTorch. */
  CUBLASLT("cublaslt", Set.of(BenchKind.GROUPED_GEMM), true),
  /** Triton kernels over rows in blocks of one expert. */
  TRITON("triton", Set.of(BenchKind.MOE_LAYER), true),
  /** The Python package flash_attn. */
  FLASH_ATTN("flash-attn", Set.of(BenchKind.ATTENTION), true),
  /** DJL's libtorch, a loop over the experts that have tokens. */
  DJL("loop", Set.of(BenchKind.MOE_LAYER), false),
  /** ONNX Runtime's MoE operator. */
  ONNXRUNTIME("fused", Set.of(BenchKind.MOE_LAYER), false),
  /** llama.cpp's library, a model with our weights. */
  LLAMA("qwen3moe", Set.of(BenchKind.PREFILL, BenchKind.DECODE, BenchKind.DECODE_BATCH), true);

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final String TORCH_SCRIPT = "lab/peers/torch_moe.py";
  private static final String JVM_CLASS_PATH = "lab/peers/target/classpath";
  private static final String LLAMA_PACKAGE = "build/peers/llama/package.json";
  private static final String JVM_MAIN = "panamoe.peers.PeerMain";

  private final String style;
  private final Set<BenchKind> kinds;
  private final boolean bfloat16;

  Peer(String style, Set<BenchKind> kinds, boolean bfloat16) {
    this.style = style;
    this.kinds = kinds;
    this.bfloat16 = bfloat16;
  }

  /** The default model of a comparison with this peer. */
  GenerationModel model() {
    return this == LLAMA ? GenerationModel.QWEN3 : GenerationModel.PAPER;
  }

  /**
   * Checks that this peer supports the kind of work.
   *
   * @param device name of our backend
   * @throws IllegalArgumentException with a one-sentence message if it does not
   */
  void check(BenchKind kind, String device) {
    boolean able =
        switch (device) {
          case "cpu" ->
              switch (this) {
                case TORCH_GROUPED, CUBLASLT, TRITON, FLASH_ATTN -> false;
                default -> true;
              };
          case "cuda" -> this != DJL && this != ONNXRUNTIME && this != LLAMA;
          default -> false;
        };
    Require.that(able, "--peer %s does not run on --device %s", this, device);
    if (!kinds.contains(kind)) {
      String runs =
          kinds.stream().sorted().map(BenchKind::toString).collect(Collectors.joining(", "));
      throw new IllegalArgumentException("--peer " + this + " runs " + runs + ", not " + kind);
    }
  }

  /**
   * Checks that this peer supports a model with random weights.
   *
   * @throws IllegalArgumentException with a one-sentence message if it does not
   */
  void check(GenerationModel model, LayerShape shape, ComputeType dtype) {
    if (this == LLAMA && model != GenerationModel.QWEN3) {
      throw new IllegalArgumentException("--peer llama runs --model qwen3, not " + model);
    }
    if (this == LLAMA && !shape.activation().equals(Activation.SWIGLU)) {
      throw new IllegalArgumentException(
          "--peer llama runs only gated experts: --shape "
              + shape.name()
              + " has others, expected s2, s3 or MxFxExK-swiglu");
    }
    if (!bfloat16 && dtype == ComputeType.BF16) {
      throw new IllegalArgumentException(
          "--peer "
              + this
              + " runs only f32, because it cannot make bfloat16 tensors on a CPU; leave --dtype bf16 out");
    }
  }

  /**
   * Starts the process and waits until its library is loaded.
   *
   * @param device "cpu" or "cuda"
   * @param seed of our weights and tokens
   */
  public PeerProcess start(String device, long seed) throws IOException {
    return switch (this) {
      case TORCH, TORCH_EINSUM, TORCH_GROUPED, CUBLASLT, TRITON, FLASH_ATTN ->
          PeerProcess.start(
              toString(),
              PeerProcess.python(TORCH_SCRIPT, device),
              "ci/setup --tests installs PyTorch");
      case DJL, ONNXRUNTIME -> PeerProcess.start(toString(), jvm(), "./panamoe build rebuilds it");
      case LLAMA ->
          PeerProcess.start(
              toString(),
              jvm(llamaFolder(), Long.toString(seed)),
              "ci/fetch/peers installs libllama, ./panamoe build builds what calls it");
    };
  }

  /** A contender that runs the cell's work in this peer's process. */
  Contender contender(PeerProcess process, Cell cell) {
    return new Contender() {
      @Override
      public double[] burst(double seconds) throws IOException {
        JsonNode answer = process.ask(PeerRequest.of(cell, style, seconds));
        return JSON.convertValue(answer.get("ms"), double[].class);
      }

      @Override
      public long process() {
        return process.pid();
      }
    };
  }

  private static String llamaFolder() throws IOException {
    return NativeBuild.projectFile(LLAMA_PACKAGE)
        .orElseThrow(
            () -> new IOException("the peer llama is not installed: ci/fetch/peers installs it"))
        .getParent()
        .toString();
  }

  private List<String> jvm(String... arguments) throws IOException {
    Path classPath =
        NativeBuild.projectFile(JVM_CLASS_PATH)
            .orElseThrow(
                () ->
                    new IOException(
                        "the peer " + this + " is not built: ./panamoe build builds it"));
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-cp",
                classPath.resolveSibling("classes")
                    + File.pathSeparator
                    + Files.readString(classPath).strip(),
                JVM_MAIN,
                toString()));
    command.addAll(List.of(arguments));
    return command;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
