package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.harness.ComputeType;
import panamoe.harness.probe.Ceilings;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Tests the table row and the JSON of a cell of 2 ms per call. */
class MeasurementTest {
  private static final Workload WORK = new FixedWork(1e9, 2e8);

  @Test
  void tokensASecondAreThoseOfACallByTheMedian() {
    assertEquals(1_024_000, measured(BenchKind.TRAIN_STEP, 2048, null).speed().tokensPerS());
    assertEquals(256_000, measured(BenchKind.PREFILL, 512, null).speed().tokensPerS());
    assertEquals(500, measured(BenchKind.DECODE, 512, null).speed().tokensPerS());
  }

  @Test
  void jsonNamesThemWhereACallRunsAWholeModelAlone() {
    for (BenchKind kind : BenchKind.values()) {
      JsonNode json = JsonMapper.shared().valueToTree(measured(kind, 2048, null));
      boolean whole =
          List.of(
                  BenchKind.TRAIN_STEP,
                  BenchKind.DISTILL_STEP,
                  BenchKind.PREFILL,
                  BenchKind.DECODE,
                  BenchKind.DECODE_BATCH)
              .contains(kind);
      assertEquals(whole, json.hasNonNull("tokens_per_s"), json.toString());
    }
  }

  /** All kinds have the header's columns; further values follow them. */
  @Test
  void theTableHasThemBehindItsColumns() {
    String columns = "2048 f32         2.0000      1.0000     500.0    100.0      1.0000      50 %";
    String step = measured(BenchKind.TRAIN_STEP, 2048, null).toRow();
    assertTrue(step.endsWith(columns + "   1024000.0 tokens/s"), step);
    assertEquals(Measurement.HEADER.length(), step.indexOf("   1024000.0"));
    String besidePeer = measured(BenchKind.TRAIN_STEP, 2048, "torch").toRow();
    assertEquals(step + "   torch 2.0000 ms, ratio 1.00", besidePeer);
    String layer = measured(BenchKind.MOE_LAYER, 2048, null).toRow();
    assertTrue(layer.endsWith(columns), layer);
  }

  private static Measurement measured(BenchKind kind, int tokens, String peer) {
    Cell cell =
        new Cell(
            kind,
            GenerationModel.PAPER,
            null,
            LayerShape.parse(kind.defaultShape()),
            tokens,
            1,
            ComputeType.F32,
            2);
    Timing timing =
        new Timing(
            List.of(
                new Timing.Burst(
                    new double[] {1, 2, 3}, new Ceilings(1000, 2000, 800.0, 200, 2, null))));
    return Measurement.of(cell, WORK, timing, null, peer, peer == null ? null : timing);
  }
}
