package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.nn.Linear;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;

/**
 * Replays a linear layer [1, 2] whose two weights the peer stores as two tensors, the second one
 * first.
 */
class BlockReplayTest {
  @TempDir private Path folder;

  private CaseResult replayed(WeightMap weights, RecordedCase recorded) throws IOException {
    Path file = folder.resolve("case.safetensors");
    recorded.write(file);
    try (Backend backend = new ReferenceBackend()) {
      return new Conformance(folder, backend, _ -> Optional.of(replay -> linear(replay, weights)))
          .replay(file);
    }
  }

  private static void linear(Replay replay, WeightMap weights) {
    try (BlockReplay<Linear> block =
        new BlockReplay<>(
            replay, weights, at -> Linear.whole(at, Parameter.Part.MLP, 2, 1, false))) {
      Tensor x = replay.rows("x");
      block.compare(x, block.layer().forward(block.pass(), x));
    }
  }

  private static WeightMap both() {
    return new WeightMap().put("weight", "b", "a");
  }

  private static RecordedCase inputs() {
    return new RecordedCase("acme")
        .with("x", 1, 2)
        .with("w.a", 5)
        .with("w.b", 3)
        .with("out", 13)
        .with("upstream", 1)
        .with("grad_x", 3, 5)
        .with("grad.b", 1);
  }

  @Test
  void tensorsStandOneAfterTheOther() throws IOException {
    CaseResult result = replayed(both(), inputs().with("grad.a", 2));
    assertTrue(result.passed(), result.line());
  }

  @Test
  void wrongGradientHasThePeersName() throws IOException {
    assertEquals(
        List.of("grad.a[0] is 2.0, expected 4.0"),
        replayed(both(), inputs().with("grad.a", 4)).failures());
  }

  @Test
  void gradientThatThePeerHasNotMustBeZero() throws IOException {
    assertEquals(
        List.of("grad.a (none recorded)[0] is 2.0, expected 0.0"),
        replayed(both(), inputs()).failures());
  }

  @Test
  void scaledWeightsHaveScaledGradients() throws IOException {
    RecordedCase recorded =
        new RecordedCase("acme")
            .with("x", 1, 2)
            .with("w.whole", 3, 5)
            .with("out", 6.5f)
            .with("upstream", 1)
            .with("grad_x", 1.5f, 2.5f)
            .with("grad.whole", 0.5f, 1);
    CaseResult result = replayed(new WeightMap().scaled("weight", 0.5, "whole"), recorded);
    assertTrue(result.passed(), result.line());
  }

  @Test
  void parameterWithoutARowFails() throws IOException {
    assertEquals(
        List.of("no recorded weight is known for parameter weight"),
        replayed(new WeightMap(), inputs()).failures());
  }

  @Test
  void tooFewNumbersFail() throws IOException {
    assertEquals(
        List.of("block.weight[1, 2] takes 2 numbers, recorded are 1"),
        replayed(new WeightMap().put("weight", "a"), inputs()).failures());
  }
}
