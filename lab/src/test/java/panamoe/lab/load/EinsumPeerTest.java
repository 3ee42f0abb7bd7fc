package panamoe.lab.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.harness.CommandRun;
import panamoe.harness.ComputeType;
import panamoe.lab.peer.PeerProcess;
import panamoe.open.ModelFolder;
import panamoe.parallel.Topology;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Tests that run the peer are skipped unless {@code ci/setup --tests} has installed it. */
@Timeout(300)
class EinsumPeerTest {
  private static final boolean INSTALLED = installed();

  @TempDir private Path folder;

  @Test
  void computesOurModelOverRanks() throws IOException {
    Path model = trainedWithPeer();
    CommandRun run =
        CommandRun.of(
            ("bench latency --texts 3 --tokens 10 --ranks 2 --json --peer torch-einsum " + model)
                .split(" "));
    assertEquals(0, run.exitCode(), run.err());
    JsonNode result = JsonMapper.shared().readTree(run.out());
    assertTrue(result.get("peer_difference").asDouble() < 1e-5, run.out());
    double ratio = result.get("peer_step_ms").asDouble() / result.get("step_ms").asDouble();
    assertEquals(ratio, result.get("ratio").asDouble(), 1e-9 * ratio);
  }

  @Test
  void anotherModelIsNoPeer() throws IOException {
    Path model = trainedWithPeer();
    try (EinsumPeer peer = new EinsumPeer(ModelFolder.open(model), ComputeType.F32, 1, 1)) {
      Completions certain = Completions.of(2, 5, 0); // each token with probability 1
      IOException refused = assertThrows(IOException.class, () -> peer.write(certain, 1));
      assertTrue(refused.getMessage().contains("computes another model"), refused.getMessage());
    }
  }

  /** A PR-MoE; skips the test if the peer is not installed. */
  private Path trainedWithPeer() throws IOException {
    assumeTrue(INSTALLED, "ci/setup --tests has not installed PyTorch and MPI for Python");
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "The committee thanks the members for the vote.\n".repeat(400));
    Path model = folder.resolve("writer");
    CommandRun trained =
        CommandRun.of(
            ("train --preset tiny --arch pr-moe --steps 2 --text " + text + " --out " + model)
                .split(" "));
    assertEquals(0, trained.exitCode(), trained.err());
    return model;
  }

  private static boolean installed() {
    try {
      EinsumPeer.requireInstalled();
      return true;
    } catch (IOException e) {
      assertTrue(e.getMessage().contains("ci/setup --tests"), e.getMessage());
      return false;
    }
  }

  @ParameterizedTest
  @MethodSource
  void refusesWhatItCannotRun(String why, ModelConfig model, Topology topology) {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> EinsumPeer.check(EinsumPeer.LABEL, model, topology));
    assertTrue(refused.getMessage().contains(why), refused.getMessage());
  }

  static Stream<Arguments> refusesWhatItCannotRun() {
    Topology one = new Topology(1, 1, 1, 1);
    ModelConfig paper = uniform(4, Activation.GELU, NormConfig.Kind.LAYER);
    EinsumPeer.check(EinsumPeer.LABEL, paper, one);
    BlockConfig block = paper.blocks().getFirst();
    GroupedQueryConfig attention = (GroupedQueryConfig) block.attention();
    AttentionConfig windowed =
        new GroupedQueryConfig(
            attention.heads(),
            attention.biases(),
            null,
            null,
            attention.rotary(),
            new AttentionConfig.Scores(Mask.CAUSAL, 8, false, null));
    BlockConfig changed =
        new BlockConfig(
            block.attentionNorm(), windowed, block.feedForwardNorm(), block.feedForward());
    ModelConfig deepSeek =
        ModelPresets.of(ModelPresets.Size.TINY, ModelPresets.Architecture.DEEPSEEK, 257);
    return Stream.of(
        Arguments.of("layer 0: no windows", paper.withBlocks(List.of(changed)), one),
        Arguments.of(
            "layer 0: no windows", uniform(2, Activation.GELU, NormConfig.Kind.LAYER), one),
        Arguments.of("RMSNorm", uniform(4, Activation.GELU, NormConfig.Kind.RMS), one),
        Arguments.of(
            "no gated activation", uniform(4, Activation.SWIGLU, NormConfig.Kind.LAYER), one),
        Arguments.of("no gate other than softmax top-k", deepSeek, one),
        Arguments.of("3 ranks do not divide the 4 of layer 1", paper, new Topology(3, 3, 1, 1)),
        Arguments.of("spreads experts over all ranks", paper, new Topology(4, 2, 2, 1)));
  }

  /** A dense layer and one of four experts. */
  private static ModelConfig uniform(
      int keyValueHeads, Activation activation, NormConfig.Kind norm) {
    return new UniformModel(
            257,
            64,
            32,
            new UniformModel.Attention(4, keyValueHeads, UniformModel.Positions.ROTARY),
            new UniformModel.FeedForward(
                64, activation, List.of(0, 4), true, GateConfig.dropless(2)),
            norm,
            true,
            0.02)
        .toConfig();
  }

  @ParameterizedTest
  @MethodSource
  void namesWhatInstallsAPeer(List<String> command) {
    IOException refused =
        assertThrows(
            IOException.class,
            () -> PeerProcess.start("torch-einsum", command, "ci/fetch/peers installs it"));
    assertTrue(
        refused.getMessage().endsWith(command.getFirst() + ": ci/fetch/peers installs it"),
        refused.getMessage());
  }

  static Stream<List<String>> namesWhatInstallsAPeer() {
    return Stream.of(List.of("no-such-program"), List.of("false"), List.of("echo", "aborted"));
  }
}
