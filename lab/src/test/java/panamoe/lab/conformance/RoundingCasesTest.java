package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;

/** Numbers that rounding decides are compared as closely as it lets them be, and no others. */
class RoundingCasesTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private Path folder;

  /** Copies a recorded case with the files beside it. */
  private Path copied(String name) throws IOException {
    Path from = RecordedCasesTest.folder().resolve(name);
    String model = from.getFileName().toString().replace(".safetensors", ".gguf");
    try (Stream<Path> files = Files.list(from.getParent())) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (file.equals(from) || file.endsWith(model) || !name.startsWith("gguf")) {
          Files.copy(file, folder.resolve(file.getFileName()));
        }
      }
    }
    return folder.resolve(from.getFileName());
  }

  private CaseResult replayed(Path file) {
    try (Backend backend = Backends.open("cpu", 1)) {
      return new Conformance(folder, backend, CaseKinds.BY_OP).replay(file);
    }
  }

  /** Adds to an element of a float tensor. */
  private static void add(Path file, String tensor, int index, float what) throws IOException {
    ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int data = Long.BYTES + (int) all.getLong(0);
    int from =
        JSON.readTree(all.array(), Long.BYTES, data - Long.BYTES)
            .path(tensor)
            .path("data_offsets")
            .path(0)
            .asInt();
    int at = data + from + index * Float.BYTES;
    all.putFloat(at, all.getFloat(at) + what);
    Files.write(file, all.array());
  }

  /** Changes the settings of a case. */
  private static void change(Path file, Consumer<ObjectNode> settings) throws IOException {
    ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    byte[] json = new byte[(int) all.getLong()];
    all.get(json);
    ObjectNode header = (ObjectNode) JSON.readTree(json);
    ObjectNode metadata = (ObjectNode) header.get("__metadata__");
    ObjectNode golden = (ObjectNode) JSON.readTree(metadata.path("golden").asText());
    settings.accept(golden);
    byte[] changed =
        JSON.writeValueAsBytes(
            header.set("__metadata__", metadata.put("golden", golden.toString())));
    ByteBuffer out =
        ByteBuffer.allocate(Long.BYTES + changed.length + all.remaining())
            .order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, out.putLong(changed.length).put(changed).put(all).array());
  }

  @Test
  void aRowWhoseExpertsRoundingMayChangeIsLeftOutWithARemark() throws Exception {
    Path file = copied("gguf/gptoss_c_yarn_q8_0.safetensors");
    CaseResult result = replayed(file);
    assertTrue(result.passed(), result.line());
    assertEquals(
        List.of("row 27 is not compared beside int8 activations: router gap 0.073 in layer 0"),
        result.notes());
    change(file, settings -> settings.put("logits_vs_logits_f32_rms", 0));
    List<String> closely = replayed(file).failures();
    assertEquals(1, closely.size(), closely.toString());
    add(file, "router_logits.1", 0, 100); // the first row is left out no more than it was
    assertEquals(closely, replayed(file).failures());
    for (int expert = 0; expert < 6; expert++) {
      add(file, "router_logits.1", expert, 1e9f); // all alike: now it is
    }
    assertNotEquals(closely, replayed(file).failures());
  }

  @Test
  void weightsWithAGradientNearEpsilonMayMoveOtherwise() throws Exception {
    Path file = copied("hf_train/olmoe_train/golden.safetensors");
    String weight = "final.model.layers.0.self_attn.q_norm.weight";
    add(file, weight, 14, 0.003f); // its first gradient is below 100 eps
    CaseResult result = replayed(file);
    assertTrue(result.passed(), result.line());
    assertEquals(1, result.notes().size(), result.line());
    add(file, weight, 14, 1);
    assertTrue(replayed(file).line().contains(weight + "[14] is "));
    add(file, weight, 14, -1);
    add(file, weight, 13, 0.003f);
    assertTrue(replayed(file).line().contains(weight + "[13] is "));
  }
}
