package panamoe.lab.load;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Choice;
import panamoe.config.GateConfig.RouteWeight;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.Heads;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.harness.ComputeType;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.lab.peer.PeerProcess;
import panamoe.open.ModelFolder;
import panamoe.parallel.Topology;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;
import tools.jackson.databind.json.JsonMapper;

/**
 * The model in PyTorch over ranks of a separate mpirun ({@code lab/peers/torch_decoder.py}).
 * Experts are in the einsum formulation, the baseline of DeepSpeed-MoE §5.
 */
final class EinsumPeer implements AutoCloseable {
  static final String LABEL = "torch-einsum";

  private static final String SCRIPT = "lab/peers/torch_decoder.py";

  private static final Set<Activation> ACTIVATIONS =
      Set.of(Activation.RELU, Activation.GELU, Activation.GELU_TANH, Activation.SILU);

  private final JsonMapper json = JsonMapper.shared();
  private final PeerProcess process;
  private final ComputeType dtype;

  /**
   * The peer's times for our completions.
   *
   * @param peerStepMs the median step of the slowest rank
   * @param ratio the peer's step by ours
   * @param peerDifference mean absolute difference of log-probabilities
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  record Result(String peer, double peerStepMs, double ratio, double peerDifference) {
    /** The columns after a row of {@link Latency}. */
    String toRow() {
      return Words.of("   %s %.3f ms, ratio %.2f", peer, peerStepMs, ratio);
    }
  }

  /**
   * Starts the ranks, which load the weights.
   *
   * @param ranks that the experts are spread over
   * @param threads per rank
   * @throws IOException if PyTorch or MPI is missing, or the ranks fail
   */
  EinsumPeer(ModelFolder folder, ComputeType dtype, int ranks, int threads) throws IOException {
    this.dtype = dtype;
    process = start(ranks);
    try (Stream<Path> files = Files.list(folder.checkpoint().directory())) {
      List<String> weights =
          files
              .map(file -> file.toAbsolutePath().toString())
              .filter(file -> file.matches(".*/model[^/]*\\.safetensors"))
              .toList();
      process.ask(
          Map.of(
              "config", ConfigJson.tree(folder.config()),
              "files", weights,
              "dtype", dtype,
              "threads", threads));
    } catch (IOException | RuntimeException e) {
      process.close();
      throw e;
    }
  }

  /**
   * Checks that PyTorch and MPI are installed.
   *
   * @throws IOException if not; the message names {@code ci/setup}
   */
  static void requireInstalled() throws IOException {
    start(1).close();
  }

  private static PeerProcess start(int ranks) throws IOException {
    List<String> command =
        new ArrayList<>(List.of("mpirun", "--allow-run-as-root", "--oversubscribe"));
    // A rank bound to one core would run all its threads there.
    command.addAll(List.of("--bind-to", "none", "-n", String.valueOf(ranks)));
    command.addAll(PeerProcess.python(SCRIPT, "cpu"));
    return PeerProcess.start(
        LABEL, command, "ci/setup --tests installs PyTorch and Open MPI for it");
  }

  /**
   * Lets the peer generate the same completions.
   *
   * @param stepMs our median step
   * @throws IOException if it fails, or computes another model
   */
  Result write(Completions texts, double stepMs) throws IOException {
    JsonNode answer = process.ask(texts.ids());
    double[] steps = json.convertValue(answer.get("ms"), double[].class);
    double difference =
        texts.difference(json.convertValue(answer.get("logprobs"), double[][].class));
    double most = dtype == ComputeType.F32 ? 1e-3 : 0.1;
    if (!(difference <= most)) {
      throw new IOException(
          Words.of(
              "the peer %s computes another model: log-probabilities differ by %.2g on average, expected at most %.2g",
              LABEL, difference, most));
    }
    double median = Latency.median(steps);
    return new Result(LABEL, median, median / stepMs, difference);
  }

  /**
   * Checks that the peer can run the model.
   *
   * @throws IllegalArgumentException with a sentence
   */
  static void check(String peer, ModelConfig config, Topology topology) {
    Require.that(peer.equals(LABEL), "--peer is '" + peer + "', expected " + LABEL);
    Require.that(
        topology.expertDegree() == topology.ranks() && topology.expertSlices() == 1,
        "--peer " + LABEL + " spreads experts over all ranks: leave --ep and --tp out");
    Require.that(
        config.embedding().positions() == EmbeddingConfig.Positions.NONE
            && !config.head().bias()
            && layerNorm(config.finalNorm()),
        cannot("learned positions, a head's bias or RMSNorm"));
    for (int layer = 0; layer < config.layers(); layer++) {
      BlockConfig block = config.blocks().get(layer);
      Require.that(
          layerNorm(block.attentionNorm()) && layerNorm(block.feedForwardNorm()),
          cannot("RMSNorm, which layer " + layer + " has"));
      Require.that(
          plain(block.attention()),
          cannot("the attention of layer " + layer + ": no windows, sinks, groups and the like"));
      boolean known =
          switch (block.feedForward()) {
            case DenseConfig dense -> ACTIVATIONS.contains(dense.activation());
            case MoeConfig moe -> ACTIVATIONS.contains(moe.activation()) && plain(moe);
          };
      Require.that(
          known,
          cannot(
              "the MLP of layer "
                  + layer
                  + ": no gated activation, and no gate other than softmax top-k"));
      Require.that(
          block.experts() % topology.ranks() == 0,
          Words.of(
              "--peer %s gives each rank equally many experts: %s ranks do not divide the %s of layer %s",
              LABEL, topology.ranks(), block.experts(), layer));
    }
  }

  private static String cannot(String what) {
    return "--peer " + LABEL + " does not know " + what;
  }

  private static boolean layerNorm(NormConfig norm) {
    return norm.kind() == NormConfig.Kind.LAYER;
  }

  private static boolean plain(AttentionConfig kind) {
    if (!(kind instanceof GroupedQueryConfig attention)) {
      return false;
    }
    Heads heads = attention.heads();
    return heads.keyValue() == heads.query()
        && attention.biases().equals(Biases.all(attention.biases().query()))
        && attention.queryKeyNorm() == null
        && attention.clip() == null
        && attention.rotary() != null
        && attention.rotary().equals(Rotary.whole(attention.rotary().base(), heads.size()))
        && attention.scores().equals(Scores.CAUSAL);
  }

  private static boolean plain(MoeConfig moe) {
    GateConfig gate = moe.gate();
    return moe.shared() == null
        && !gate.routerBias()
        && gate.cosine() == null
        && gate.score() == Score.SOFTMAX
        && gate.choice().equals(Choice.with(gate.choice().noise()))
        && gate.weight().equals(RouteWeight.of(gate.weight().normalization()));
  }

  @Override
  public void close() {
    process.close();
  }
}
