package panamoe.lab.conformance.deepspeed;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.GateConfig;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.op.GateOp;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A case of 7 tokens, 8 experts and k = 4. The logits of token 0 are 0, -0.5, -1, 0, 0, 0, 0.5,
 * -1.5; the peer chose 6, 4, 3 and 5.
 */
class TiedRoutesTest {
  private static final String RECORDED =
      "golden/ds_gating/topk/028_T7_E8_k4_cf2.0_mc8_drop_position_tie_pairs.safetensors";
  private static final int TOKENS = 7;
  private static final int LAST_CHOICE_OF_TOKEN_0 = 3 * TOKENS;

  @TempDir private Path folder;
  private Path file;

  @BeforeEach
  void copy() throws Exception {
    file = folder.resolve("case.safetensors");
    Files.copy(Path.of(RECORDED), file);
  }

  @Test
  void recordedChoicePasses() {
    assertEquals(List.of(), failures());
  }

  @Test
  void anEqualExpertPasses() throws Exception {
    change("route_expert", LAST_CHOICE_OF_TOKEN_0, Integer.BYTES, 0);
    change("exp_counts", 0, Long.BYTES, 3);
    change("exp_counts", 5, Long.BYTES, 3);
    assertEquals(List.of(), failures());
  }

  @Test
  void aWorseExpertFails() throws Exception {
    change("route_expert", LAST_CHOICE_OF_TOKEN_0, Integer.BYTES, 1);
    assertEquals("token 0 prefers other experts to the recorded 1", failures().getFirst());
  }

  @Test
  void aCountThatNoTieExplainsFails() throws Exception {
    change("exp_counts", 1, Long.BYTES, 5);
    change("exp_counts", 2, Long.BYTES, -1);
    assertEquals(
        "exp_counts[1] is recorded as 5, but 0 to 1 tokens ask for this expert",
        failures().getFirst());
  }

  private List<String> failures() {
    try (Backend backend = new ReferenceBackend();
        GoldenFile golden = new GoldenFile(file);
        Replay replay = new Replay(golden, backend)) {
      GateSettings settings = GateConfig.deepSpeed(4, 2, 8).settings(TOKENS, 8, true);
      RouteTable ours =
          RouteTable.of(
              GateOp.forward(
                  replay.pass(), settings, GateKernels.Inputs.of(replay.input("logits")), 0, 0));
      new TiedRoutes(replay, ours, null, true).compare(settings.queues().capacity());
      return replay.result("case").failures();
    }
  }

  /** Overwrites one whole number of a tensor, little-endian as safetensors stores it. */
  private void change(String tensor, int index, int bytes, int value) throws Exception {
    ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int header = (int) all.getLong(0);
    JsonNode described = JsonMapper.shared().readTree(all.array(), Long.BYTES, header).get(tensor);
    int begin = Long.BYTES + header + described.get("data_offsets").get(0).asInt();
    if (bytes == Long.BYTES) {
      all.putLong(begin + index * bytes, value);
    } else {
      all.putInt(begin + index * bytes, value);
    }
    Files.write(file, all.array());
  }
}
